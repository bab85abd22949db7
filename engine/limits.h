/*
 * limits.h - every bound of the engine, with its unit (P7). Beyond a bound the engine refuses
 * early with a clear error and loses nothing.
 */
/* System headers that ask for <limits.h> find this file first: pass them on, every time. */
#include_next <limits.h>

#ifndef TRIEN_LIMITS_H
#define TRIEN_LIMITS_H

#include <assert.h>

/* ---- a case (intake refuses beyond) ---- */
#define CASE_CODE_BYTES_MAX 64
#define CASE_RESULTS_MAX 8
#define CASE_HOLDERS_MAX 8
#define CASE_BYTES_MAX (256 * 1024)		/* canonical form */
#define FIELDS_MAX 64				/* of one result */
#define FIELD_NAME_BYTES_MAX 48
#define FIELD_TEXT_BYTES_MAX (64 * 1024)	/* UTF-8; a schema sets smaller ones */
#define TABLE_ROWS_MAX 500
#define TABLE_COLUMNS_MAX 12
#define NAME_BYTES_MAX 400			/* UTF-8; 200 letters, real names exceed 50 */
#define CODE_BYTES_MAX 40			/* unit, kind, signer, register codes */
#define NUMBER_TEXT_BYTES_MAX 44		/* ND 30/2020 PL VI: 11 + slash + 30, and spare */
#define HOLDER_NUMBER_BYTES_MAX 40
#define PRINCIPAL_BYTES_MAX 64			/* name of a caller */

/* ---- a request ---- */
#define BATCH_CASES_MAX 500			/* SubmitBatch, and one stream message */
#define REQUEST_BYTES_MAX (2 * 1024 * 1024)	/* a gRPC message; aim below 1 MiB */
#define STREAM_WINDOW_BYTES_MAX (4 * 1024 * 1024) /* unacknowledged on one stream */
#define PAGE_SIZE_MAX 200
#define PAGE_SIZE_DEFAULT 50
#define BATCH_GET_MAX 1000
#define DOWNLOAD_CHUNK_BYTES (64 * 1024)
#define OBJECT_CHUNK_BYTES (1024 * 1024)	/* larger: each is looked up and checked anew */
#define REQUESTS_IN_FLIGHT_MAX 256		/* decoded and waiting for the journal or a reply */

/* ---- a document ---- */
#define DOC_SIGNATURES_MAX 2			/* officer, agency */
#define DOC_PARTS_MAX 32
#define DOC_BODY_BYTES_MAX (4 * 1024 * 1024)	/* inline bytes of one document */
#define DOC_PAGES_MAX 200
#define EVIDENCE_MEMBERS_MAX 8			/* issuers and revocation lists of one key */
#define EVIDENCE_BYTES_MAX (8 * 1024 * 1024)	/* of one of them */

/* ---- an original that is copied ---- */
#define ORIGINAL_BYTES_MAX (256u * 1024 * 1024)	/* what the configuration may allow */
#define ORIGINAL_PAGES_MAX 150			/* rebuilt; beyond, it is wrapped */
#define ORIGINAL_RUNS_MAX 2048			/* of all its images; beyond, it is wrapped */
#define SECTION_RUNS_MAX (ORIGINAL_RUNS_MAX + 2 * ORIGINAL_PAGES_MAX + 16) /* text between them */
#define ORIGINAL_SIDE_MAX 32767			/* samples of an image's row or column, */
#define ORIGINAL_SAMPLES_MAX 600000000u		/* and of all its rows: A0 at 600 dpi */
#define ORIGINAL_DECODED_BYTES_MAX (2048ull * 1024 * 1024) /* of all images of one file */
#define ORIGINAL_OBJECTS_MAX (1024 * 1024)	/* of a PDF */
#define INSPECTIONS_MAX 4			/* files that are looked into at once, each */
#define INSPECTION_CPU_S_MAX 10			/* with so much time */
#define INSPECTION_MS_MAX 20000
#define INSPECTION_WORK_BYTES_MAX (160 * 1024 * 1024) /* and memory, beside the file's own */
#define JUDGEMENTS_MAX 4			/* others' PDFs that are verified at once, each */
#define JUDGEMENT_CPU_S_MAX 1			/* with so much time: an answer within 2 s */
#define JUDGEMENT_MS_MAX 1900
#define UPLOADS_MAX 256				/* in flight at once */
#define FETCHES_MAX 16				/* from the store, beside those */
#define UPLOAD_CHUNK_BYTES_MAX (64 * 1024)	/* of one message */
#define UPLOAD_IDLE_MS_MAX (30 * 1000)		/* between two messages */
#define UPLOAD_MS_MAX (15 * 60 * 1000)		/* of one as a whole */
#define COPIES_MAX 32				/* of one CertifyCopies */
#define COPY_CALLS_MAX 64			/* at once, but for uploads: their requests */

/* ---- pipeline ---- */
#define BATCH_ITEMS_MAX 128			/* results rendered and signed together */
#define BATCHES_IN_FLIGHT_MAX 8
#define BATCH_RANGE_ITEMS 32			/* what one worker takes at once */
#define BATCH_RANGES_MAX (BATCH_ITEMS_MAX / BATCH_RANGE_ITEMS)
#define BATCH_RECORD_BYTES (2 * 1024 * 1024)	/* of a batch; fewer items if larger */
#define BATCH_WORK_BYTES (8 * 1024 * 1024)	/* decoded cases, bodies; over all ranges */
#define BACKLOG_CASE_BYTES_MAX (64 * 1024 * 1024) /* beyond, re-read from the journal */
#define WORKERS_MAX 64

/* ---- watchers ---- */
#define WATCHES_MAX 256				/* open at once */
#define WATCH_ENTRIES_MAX 1024			/* cases and result ids of one watch */
#define WATCH_QUEUE_MAX 1024			/* changes not taken; beyond, it is cut off */

/* ---- signing sessions ---- */
#define SESSION_ITEMS_MAX 1000			/* documents of one confirmation */
#define SESSIONS_KNOWN_MAX 1024			/* known at once, ended ones included, */
#define SESSIONS_ITEMS_MAX 65536		/* with so many documents together */
#define SESSIONS_OPEN_MAX 32			/* open at once, of one principal, */
#define SESSIONS_OPEN_ITEMS_MAX 8192		/* with so many documents together */
#define SESSION_TTL_S_MIN 10
#define SESSION_TTL_S_MAX (24 * 60 * 60)
#define SESSION_TTL_S_DEFAULT (30 * 60)
#define SESSION_KEPT_MS (24 * 60 * 60 * 1000)	/* remembered after its end, if there is room */

/* ---- keys elsewhere ---- */
#define KEPT_KEY_BYTES_MAX 64			/* a key's id in keys.json */
#define KEPT_VALUE_BYTES_MAX 512		/* of a signature */
#define TICKET_BYTES_MAX 600			/* of a transaction at a service */
#define SERVICE_NAME_BYTES_MAX 64
#define ASKED_MAX 8192				/* with the remote signer at once, */
#define ASKED_BYTES_MAX (32 * 1024 * 1024)	/* their records together, */
#define ASKED_SERVICE_MAX 1024			/* and of one service: others have room beside it */
#define ASKED_SERVICE_BYTES_MAX (8 * 1024 * 1024)	/* and beside its records */
#define ASKED_ROUNDS_MAX 3			/* a person, in vain: then it is held; */
#define ASKED_TICKETS_MAX 5			/* so, when as many tickets were lost */
#define ASKED_JOURNAL_MS 8000			/* asked longer: into the waiting room */
#define SIGNATURE_TRIES_MAX 3			/* wrong ones for one item before it is held */

/* ---- journal ---- */
#define JOURNAL_RECORD_BYTES_MAX (1024 * 1024)
#define JOURNAL_BATCH_BYTES_MAX (1024 * 1024 + 64 * 1024) /* one direct write */
#define JOURNAL_DEPTH_MAX 4			/* writes in flight */
#define JOURNAL_SEGMENT_BYTES (64u * 1024 * 1024)
#define JOURNAL_SLOTS_DEFAULT 16
#define JOURNAL_SLOTS_FREE_MIN 2		/* below: refuse before numbering */
/* below, of so many slots: what is oldest goes first, every second batch */
#define JOURNAL_SLOTS_FREE_LOW(slots) (JOURNAL_SLOTS_FREE_MIN + (slots) / 4)
#define MIRROR_PEERS_MAX 4			/* at a mirror: the engine, and who may be one */

/* ---- the portal ---- */
#define PORTAL_WORKERS_MAX 64
#define PORTAL_CONNECTIONS_MAX 65536
#define PORTAL_CONNECTION_BYTES (12 * 1024)	/* of one: heads of request and answer */
#define PORTAL_TARGET_BYTES_MAX 4096		/* path and query */
#define PORTAL_FORM_BYTES_MAX (32 * 1024)	/* a body that is no file */
#define PORTAL_PARTS_MAX 16			/* fields of a form or query, pieces of a path */
#define PORTAL_BODIES_BYTES_MAX (128ull * 1024 * 1024) /* all bodies being received or read */
#define PORTAL_QUEUE_MAX 512			/* requests that wait for a worker */
#define PORTAL_IDLE_MS_MAX (60 * 1000)		/* a connection between two requests */
#define PORTAL_HEAD_MS_MAX (15 * 1000)		/* from a request's first line to its last header */
#define PORTAL_BYTES_PER_S_MIN 4096		/* of a body, in either direction, */
#define PORTAL_BODY_MS_MIN (30 * 1000)		/* after so long */
#define PORTAL_SESSIONS_MAX 10000		/* signed in at once */
#define SESSION_IDLE_MS_MAX (20 * 60 * 1000)	/* signed in, without a request */
#define SESSION_MS_MAX (8 * 60 * 60 * 1000)	/* signed in at all */
#define PORTAL_STREAM_BYTES (128 * 1024)	/* of a download, read ahead of the client */
#define PREVIEW_FILE_BYTES_MAX (32 * 1024 * 1024) /* larger files have no picture */
#define PREVIEW_BYTES_MAX (4 * 1024 * 1024)	/* of one picture */
#define PREVIEW_KEPT_BYTES_MAX (24 * 1024 * 1024) /* of all that are kept */
#define PREVIEW_CPU_S 5				/* of who draws one */
#define PREVIEW_MS (8 * 1000)
#define PREVIEW_MEMORY_BYTES (512ull * 1024 * 1024) /* address space */
#define PORTAL_PAGE_BYTES_MAX (512 * 1024)	/* one page as HTML */
#define PORTAL_ENGINE_S_MAX 5			/* a call to the engine */

/* ---- store ---- */
#define LAYER_CACHE_BYTES (32 * 1024 * 1024)	/* shared layers read from PostgreSQL */

/* ---- time ---- */
#define CLOCK_STEP_MS_MAX 1000			/* a bigger step back stops numbering */
#define ENDING_MS_MAX 2000			/* a killed engine may take so long to end */
#define ENDING_STEP_MS 50
#define SIGN_REPLAY_MS_MAX (10 * 60 * 1000)	/* older: a new signing time through the journal */

/* ---- registers ---- */
#define NUMBERS_TOGETHER_MAX 200		/* used outside of the engine, told at once */

/* ---- approval ---- */
#define APPROVAL_ITEMS_MAX 1000			/* results of one confirmation */
#define DELEGATION_BYTES_MAX 400
#define REASON_TEXT_BYTES_MAX 400		/* why one was refused or withdrawn */
#define DECISION_NUMBER_BYTES_MAX 80		/* of the paper behind an act on a result */
#define DECISION_PERSON_BYTES_MAX 64
#define DECISION_GROUND_BYTES_MAX 400
#define LIVING_ACTS_MAX 250			/* on one result; */
#define LIVING_HOLDERS_ACTS_MAX 200		/* behind so many its holders have none */
#define HANDOVERS_MAX 8			/* a held result may get so many other signers */
#define LINKS_TOLD_MAX 64		/* holders added to one result later: the newest */
#define SHARE_SECONDS_MAX (30 * 24 * 60 * 60)	/* a share lasts so long */
#define SHARE_SECONDS_DEFAULT (3 * 60)
#define SHARE_VIEWS_MAX 1000
#define SHARE_VIEWER_BYTES_MAX 200	/* from where it was viewed */
#define SHARE_TRIES_MAX 10		/* wrong codes of one result; then its codes are over */
#define SHARE_CHANGES_MAX 10000		/* of one result's shares, for ever: then none is made */
#define APPROVAL_DAYS_MAX 3660			/* a kind may let a case wait so long */

/* ---- sign-in ---- */
#define ID_TOKEN_BYTES_MAX (16 * 1024)		/* from an OpenID provider */
#define KID_BYTES_MAX 256			/* `kid`, the name of a key */
#define KEY_SET_BYTES_MAX (256 * 1024)		/* what a provider publishes: its keys, */
#define KEY_SET_KEYS_MAX 64			/* so many of them for signatures, */
#define PROVIDER_ANSWER_BYTES_MAX (64 * 1024)	/* and any other answer of its */
#define PROVIDER_URL_BYTES_MAX 1024
#define PROVIDER_CONNECT_MS_MAX 3000		/* it does not answer at all, */
#define PROVIDER_MS_MAX 8000			/* or not to the end */
#define PROVIDER_AGAIN_MS (10 * 60 * 1000)	/* what it says of itself is asked for again */
#define CLOCK_SKEW_S 60				/* between a provider's clock and ours */
#define TOKEN_AGE_S_MAX (10 * 60)		/* of one that was just asked for */
#define TOKEN_LIFE_S_MAX (24 * 60 * 60)		/* of one that a portal of others sends */
#define KEY_SET_FRESH_MS (10 * 60 * 1000)	/* then it is asked for again; */
#define KEY_SET_STALE_MS (4 * 60 * 60 * 1000)	/* without an answer it serves so long */
#define KEY_SET_FETCHES_MAX 3			/* one after the other, whoever asks, */
#define KEY_SET_PAUSE_MS (15 * 1000)		/* and another one each so often */
#define SIGN_IN_S_MAX (10 * 60)			/* from our page to the provider and back */
#define SUBJECT_BYTES_MAX 255			/* `sub`, OpenID Connect Core 2 */
#define ROLES_MAX 64				/* of one person's token */

/* ---- lanes and identities ---- */
#define LANES 64
#define ENGINES_MAX 256

static_assert(CASE_BYTES_MAX + 64 * 1024 <= JOURNAL_RECORD_BYTES_MAX,
	      "a numbered case, with its handovers, fits one journal record");
static_assert(APPROVAL_ITEMS_MAX * 25 + 4096 <= JOURNAL_RECORD_BYTES_MAX,
	      "a confirmation fits one journal record");
static_assert(JOURNAL_RECORD_BYTES_MAX < JOURNAL_BATCH_BYTES_MAX, "a record fits one batch");
static_assert(ORIGINAL_PAGES_MAX < DOC_PAGES_MAX, "its certifying statement has room behind it");
static_assert(SESSIONS_OPEN_ITEMS_MAX >= 4 * SESSION_ITEMS_MAX &&
	      SESSIONS_OPEN_ITEMS_MAX <= SESSIONS_ITEMS_MAX / 4,
	      "one principal opens several full sessions, and leaves room to others");
static_assert(COPY_CALLS_MAX * REQUEST_BYTES_MAX <= 128 * 1024 * 1024,
	      "what waits for the copiers is within gRPC's memory");
static_assert(PORTAL_TARGET_BYTES_MAX < PORTAL_CONNECTION_BYTES / 2, "headers have room beside it");
static_assert(DOC_BODY_BYTES_MAX < BATCH_WORK_BYTES, "the largest document fits one batch");

#endif
