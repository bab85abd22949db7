"""tidy.py - the rules of the tree that a script can check (DESIGN 4 and 12).

    tidy.py FOLDER        prints FILE:LINE: REASON for each breach; exit 1 if there is one
    tidy.py --self-test   breaks each rule once and sees that it is noticed

A new folder, an exception or a library's new home is a line in the tables below, so that it is
a decision somebody made and not one that happened.
"""

import fnmatch
import pathlib
import re
import sys
import tempfile
import unicodedata

COLUMNS_MAX = 100
TAB = 8
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 1000

# ---- who may include whom (engine/) ----

CONTRACTS = {"batch.h", "case.h", "counts.h", "document.h", "facts.h", "holding.h",
             "identity.h", "limits.h", "living.h", "original.h", "reason.h", "result.h",
             "section.h", "share.h", "states.h"}
STAGE = CONTRACTS | {"base", "io", "objects", "catalogue"}
GENERATED = {"trien", "google", "grpc"}  # from proto/
STAGES = {"journal", "register", "render", "sign", "store", "verify", "notify", "session",
          "intake"}
ANY = None

# Folder or file of engine/ → what it may name besides itself; the first match counts.
INCLUDES = {
    # These bring the stages together.
    "main.c": ANY,
    "engine.c": ANY,
    "mirror.c": ANY,
    "takeover.c": ANY,
    "supervisor.*": {"base", "io", "limits.h", "config.h", "foreign", "greeting.h"},
    "greeting.*": {"base", "signer", "remote"},
    "metrics.*": {"base", "io", "limits.h", "intake", "spine"},
    "pipeline.*": STAGE | {"render", "sign", "store"},
    "submission.h": STAGE | {"journal", "register", "store", "notify", "verify"},
    "spine/*": ANY,
    "cli/*": ANY,
    "client/*": {"base", "limits.h"} | GENERATED,
    # A process of its own.
    # render: its QR encoder
    "portal/*": STAGE | GENERATED | {"client", "config.h", "judging.h", "render", "sign",
                                    "signer", "store", "verify"},
    # What all stages share.
    "limits.h": set(),
    "reason.*": {"base"},
    "case.*": {"base", "limits.h", "original.h"},
    "original.*": {"base", "limits.h"},
    "living.*": {"base", "limits.h"},
    "holding.h": {"case.h"},
    "share.*": {"base", "limits.h", "living.h"},
    "counts.*": {"base", "limits.h"},
    "facts.*": {"base"},
    "document.h": {"base", "limits.h"},
    "identity.*": {"base", "io", "limits.h"},
    "section.*": {"base", "limits.h", "document.h", "objects"},
    "config.*": {"base", "limits.h"},
    "states.h": set(),
    "batch.*": {"base", "limits.h", "case.h", "document.h", "reason.h", "states.h", "catalogue"},
    "result.h": {"base", "limits.h", "batch.h", "living.h"},
    # Below the stages.
    "base/*": set(),
    "io/*": {"base", "limits.h"},
    "mirror/*": {"base", "io", "limits.h"},
    "signer/*": {"base", "io", "limits.h", "document.h"},
    "remote/*": {"base", "io", "limits.h", "signer"},
    # The program joins who parses with who judges.
    "foreign/main.c": {"base", "limits.h", "verify"},
    "judging.*": {"base", "limits.h", "foreign", "verify"},
    "foreign/*": {"base", "io", "limits.h", "original.h", "reason.h"},
    "objects/*": {"base", "io", "limits.h"},
    "catalogue/*": {"base", "io", "case.h", "document.h", "limits.h", "reason.h"},
    # The stages.
    "journal/*": STAGE | {"waiting_schema.h"},
    "register/*": STAGE,
    "render/*": STAGE,
    "sign/*": STAGE | {"signer"},
    "store/*": STAGE | {"store_schema.h", "postgres_schema.h"},
    "verify/*": STAGE | {"signer"},
    "notify/*": STAGE,
    "session/*": {"base", "batch.h", "limits.h"},
    # Who serves a session also keeps it: the module itself does no I/O.
    "intake/*": STAGE | GENERATED | {"submission.h", "session", "objects"},
}

# ---- where third-party headers are at home (engine/) ----

HOMES = {
    "confuse.h": ["config.c"],
    "curl/*": ["portal/fetch.c", "remote/web.c"],
    "emmintrin.h": ["base/*"],
    "ft2build.h": [],
    "grpc/*": ["intake/*", "client/*", "cli/*"],
    "hb*.h": ["render/font.c"],
    "dlfcn.h": ["signer/p11.c", "signer/p11make.c", "signer/pkcs11.c"],
    "jansson.h": ["catalogue/*", "cli/*", "client/*", "intake/principals.c", "portal/*",
                  "signer/*", "remote/*", "verify/report*", "verify/said.c"],
    "libpq-fe.h": ["store/*"],
    "liburing.h": ["io/io_uring.c"],
    "microhttpd.h": ["metrics.c", "portal/devprovider.c", "portal/exchange.h"],
    "nmmintrin.h": ["base/*"],
    "openssl/*": ["base/hash.c", "identity.c", "intake/tls.c", "mirror/secure.c", "portal/*",
                  "sign/*", "signer/*", "remote/*", "verify/*", "cli/keys.c", "cli/evidence.c",
                  "cli/audit/keys.c"],
    "protobuf-c/*": ["intake/*", "client/*", "portal/*", "cli/*"],
    "qpdf/*": ["foreign/pdf*"],
    "p11-kit/pkcs11.h": ["signer/p11.h"],
    "seccomp.h": ["signer/sandbox.c", "remote/sandbox.c", "foreign/sandbox.c",
                  "portal/previewer.c", "portal/sandbox.c"],
    "sqlite3.h": ["io/db.*", "store/*"],
    "utf8proc.h": ["base/utf8.c", "render/words.c"],
    "zlib.h": ["render/*", "foreign/flate.*", "foreign/png.c",
               "verify/anyflate.c"],
}
SYSTEM = set("""
    assert ctype dirent endian errno fcntl ftw getopt glob inttypes limits malloc math poll pthread
    sched setjmp signal stdarg stdatomic stdbool stddef stdint stdio stdlib string strings sysexits
    termios time unistd
""".split())
SYSTEM_FOLDERS = ("sys/", "linux/", "netinet/", "arpa/", "net/")

BANNED = {
    "strcpy": "memcpy with a length, or snprintf",
    "strcat": "snprintf",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "system": "posix_spawn or fork and exec",
    "strtok": "a struct reader, or strcspn",
}
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))

KEY = re.compile(r"-----BEGIN [A-Z ]*" + "PRIVATE KEY-----")
KEY_NAMES = ("*.key", "*.p12", "*.pfx", "*.jks")

INCLUDE = re.compile(r'\s*#\s*include(?:_next)?\s*(["<])([^">]+)[">]')
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
SKIPPED = re.compile(r"(^|/)(\.git|\.venv|__pycache__|build[^/]*|data)(/|$)")


def code_only(text):
    """The text with comments and literals blanked out, line by line as before."""
    return NOISE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def columns(line):
    n = 0
    for c in line:
        if c == "\t":
            n += TAB - n % TAB
        elif not unicodedata.combining(c):
            n += 2 if unicodedata.east_asian_width(c) in "WF" else 1
    return n


def first_match(table, name):
    return next((v for pattern, v in table.items() if fnmatch.fnmatchcase(name, pattern)), False)


def check_own_include(name, target):
    """name: path below engine/. Returns the reason, or None."""
    allowed = first_match(INCLUDES, name)
    if allowed is False:
        return "has no line in the table of include directions"
    if target.startswith((".", "/")):
        return f"{target}: include by the path below engine/"
    folder = name.split("/")[0] if "/" in name else None
    head = target.split("/")[0]
    own = head == folder or ("/" not in target and pathlib.PurePath(target).stem ==
                             pathlib.PurePath(name).stem)
    if allowed is ANY or own or head in allowed:
        return None
    if folder in STAGES and head in STAGES:
        return f"{target}: a stage never includes another stage; glue: pipeline.c, spine/"
    return f"{target}: {folder or name} may not know it"


def check_library(name, header):
    homes = first_match(HOMES, header)
    if homes is not False:
        if any(fnmatch.fnmatchcase(name, home) for home in homes):
            return None
        return f"<{header}> is at home in {', '.join(homes) or 'no folder yet'}"
    if header.startswith(SYSTEM_FOLDERS) or header.removesuffix(".h") in SYSTEM:
        return None
    return f"<{header}> has no line in the table of homes"


def check_includes(name, lines):
    for number, line in enumerate(lines, 1):
        m = INCLUDE.match(line)
        if not m:
            continue
        kind, target = m.groups()
        reason = check_own_include(name, target) if kind == '"' else check_library(name, target)
        if reason:
            yield number, reason


def check_calls(code):
    for number, line in enumerate(code.split("\n"), 1):
        for m in CALL.finditer(line):
            yield number, f"{m.group(1)} is banned: use {BANNED[m.group(1)]}"


def check_functions(code):
    """A function's brace stands alone in the first column, and so does the one that ends it."""
    begin = head = None
    for number, line in enumerate(code.split("\n"), 1):
        if begin is None and line.rstrip() == "{":
            begin = head
        elif begin is not None and line.rstrip() == "}":
            n = number - begin + 1
            if n > FUNCTION_LINES_MAX:
                yield begin, f"a function of {n} lines, at most {FUNCTION_LINES_MAX}"
            begin = None
        elif begin is None and line[:1].strip() and line[0] not in "#}":
            head = number  # where a signature may begin


def check_size(lines):
    if len(lines) > FILE_LINES_MAX:
        yield len(lines), f"a file of {len(lines)} lines, at most {FILE_LINES_MAX}"
    for number, line in enumerate(lines, 1):
        n = columns(line)
        if n > COLUMNS_MAX:
            yield number, f"a line of {n} columns, at most {COLUMNS_MAX}"
        if line != line.rstrip():
            yield number, "blanks at the end of the line"


def check_keys(name, lines):
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in KEY_NAMES):
        yield 1, "looks like a private key; no key is ever committed"
    for number, line in enumerate(lines, 1):
        if KEY.search(line):
            yield number, "a private key; no key is ever committed"


def check_file(path, name):
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        text = ""
        if path.suffix in {".c", ".h", ".py", ".cmake", ".proto"}:
            yield 1, "is not UTF-8"
    lines = text.removesuffix("\n").split("\n")
    yield from check_keys(path.name, lines)
    if path.suffix in {".c", ".h", ".py", ".cmake"} or path.name == "CMakeLists.txt":
        yield from check_size(lines)
    if path.suffix in {".c", ".h"}:
        code = code_only(text)
        yield from check_calls(code)
        yield from check_functions(code)
        if name.startswith("engine/"):
            yield from check_includes(name.removeprefix("engine/"), lines)


def check_tree(root):
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not SKIPPED.search(name) and path.is_file():
            for number, reason in check_file(path, name):
                yield f"{name}:{number}: {reason}"


# ---- does it notice? ----

SAMPLES = [
    # file, content, a word of the reason (None: nothing to say)
    ("engine/render/a.c", '#include "render/render.h"\n#include "base/bytes.h"\n', None),
    ("engine/render/a.c", '#include "store/store.h"\n', "another stage"),
    ("engine/base/a.c", '#include "case.h"\n', "may not know"),
    ("engine/io/a.c", '#include "journal/journal.h"\n', "may not know"),
    ("engine/signer/a.c", '#include "sign/sign.h"\n', "may not know"),
    ("engine/sign/a.c", '#include "signer/policy.h"\n', None),
    ("engine/journal/a.c", '#include "spine/spine.h"\n', "may not know"),
    ("engine/journal/a.c", '#include "../store/store.h"\n', "by the path"),
    ("engine/spine/a.c", '#include "store/store.h"\n#include "render/render.h"\n', None),
    ("engine/pipeline.c", '#include "intake/intake.h"\n', "may not know"),
    ("engine/case.c", '#include "case.h"\n', None),
    ("engine/stray/a.c", '#include "base/bytes.h"\n', "no line"),
    ("engine/store/a.c", "#include <sqlite3.h>\n#include <stdio.h>\n", None),
    ("engine/render/a.c", "#include <sqlite3.h>\n", "at home in io"),
    ("engine/io/io.c", "#include <liburing.h>\n", "at home in io/io_uring.c"),
    ("engine/journal/a.c", "#include <grpc/grpc.h>\n", "at home in intake"),
    ("engine/base/a.c", "#include <openssl/evp.h>\n", "at home in base/hash.c"),
    ("engine/base/a.c", "#include <boost.h>\n", "no line"),
    ("engine/base/a.c", "\tsprintf(a, b);\n", "banned"),
    ("engine/base/a.c", "\tx = strtok (a, b);\n", "banned"),
    ("tests/unit/a.c", "\tsystem(a);\n", "banned"),
    ("engine/base/a.c", '/* sprintf(a) */ "gets()" // system(a)\n\tsnprintf(a);\n', None),
    ("engine/base/a.c", "\ta.system(b);\n\tmy_strcpy(a);\n", None),
    ("engine/base/a.c", "static int f(void)\n{\n" + "\tg();\n" * 67 + "}\n", None),
    ("engine/base/a.c", "static int f(void)\n{\n" + "\tg();\n" * 68 + "}\n", "71 lines"),
    ("engine/base/a.c", "static int f(int a,\n\t     int b)\n{\n" + "\tg();\n" * 67 + "}\n",
     "71 lines"),
    ("engine/base/a.c", "static const int t[] = {\n" + "\t1,\n" * 99 + "};\n", None),
    ("engine/base/a.c", "x;\n" * 1000, None),
    ("engine/base/a.c", "x;\n" * 1001, "1001 lines"),
    ("engine/base/a.c", "\t" + "x" * 92 + "\n", None),
    ("engine/base/a.c", "\t" + "x" * 93 + "\n", "101 columns"),
    ("engine/base/a.c", "/* " + "ệ" * 94 + " */\n", None),
    ("engine/base/a.c", "x; \n", "blanks"),
    ("tests/a.py", "x" * 101 + "\n", "101 columns"),
    ("keys/a.pem", "-----BEGIN EC " + "PRIVATE KEY-----\n", "private key"),
    ("keys/a.pem", "-----BEGIN " + "PRIVATE KEY-----\n", "private key"),
    ("keys/a.pem", "-----BEGIN PUBLIC KEY-----\n", None),
    ("tests/a.p12", "\n", "private key"),
    ("build-x/a.c", "\tgets(a);\n", None),
]


def self_test():
    failures = 0
    for name, content, word in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True)
            path.write_text(content, encoding="utf-8")
            found = list(check_tree(pathlib.Path(folder)))
        good = len(found) == 1 and word in found[0] if word else not found
        if not good:
            failures += 1
            print(f"{name}: {content[:60]!r}: wanted {word!r}, got {found}")
    print(f"{len(SAMPLES)} samples, {failures} wrong")
    return failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(self_test() > 0)
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    breaches = list(check_tree(pathlib.Path(sys.argv[1])))
    print("\n".join(breaches))
    sys.exit(len(breaches) > 0)


main()
