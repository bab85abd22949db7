// Enhances /verify: a place to drop a file, a look-up by id and hash that leaves the file at home,
// and the QR code of a picture where the browser can read one. Without script the form does it all.
"use strict";

(function () {
	const words = document.querySelector("[data-words]").dataset;
	const form = document.querySelector("form[data-drop]");
	const input = form.querySelector("input[type=file]");
	const told = form.querySelector("[data-lookup]");

	const hex = (bytes) => Array.from(new Uint8Array(bytes),
		(b) => b.toString(16).padStart(2, "0")).join("");

	// The last /ID of the file: its first string is the result's id.
	function idOf(bytes) {
		const tail = new TextDecoder("latin1").decode(bytes.slice(-65536));
		const ids = tail.match(/\/ID\s*\[\s*<([0-9A-Fa-f]{32})>/g);
		return ids ? ids[ids.length - 1].match(/<([0-9A-Fa-f]{32})>/)[1] : null;
	}

	function tell(text, kind) {
		told.textContent = text;
		told.className = "note " + kind;
		told.hidden = false;
	}

	// Of files that were chosen one after the other only the last one is spoken of: the answer to
	// a large one may come behind that to a small one.
	let chosen = 0;

	async function lookUp(file) {
		const mine = ++chosen;

		told.hidden = true;
		if (!window.crypto || !window.crypto.subtle || file.size > 128 * 1024 * 1024)
			return;
		const bytes = await file.arrayBuffer();
		const id = idOf(bytes);
		if (id === null)
			return;
		const hash = hex(await window.crypto.subtle.digest("SHA-256", bytes));
		const answer = await fetch("/verify/lookup?id=" + id + "&sha256=" + hash);
		if (!answer.ok)
			return;
		const said = await answer.json();
		if (mine !== chosen)
			return;
		if (said.same)
			tell(words.same, "good");
		else
			tell(said.known ? words.other : words.unknown, "warn");
	}

	input.addEventListener("change", () => {
		if (input.files.length === 1)
			lookUp(input.files[0]).catch(() => {});
	});
	form.classList.add("drop");
	form.addEventListener("dragover", (event) => {
		event.preventDefault();
		form.classList.add("over");
	});
	form.addEventListener("dragleave", () => form.classList.remove("over"));
	form.addEventListener("drop", (event) => {
		event.preventDefault();
		form.classList.remove("over");
		if (event.dataTransfer.files.length === 1) {
			input.files = event.dataTransfer.files;
			input.dispatchEvent(new Event("change"));
		}
	});

	// Only a verify URL of our own host is followed.
	const qr = document.querySelector("[data-qr]");
	if (!qr || !("BarcodeDetector" in window))
		return;
	qr.hidden = false;
	qr.querySelector("input").addEventListener("change", async (event) => {
		const none = qr.querySelector("[data-qr-none]");
		none.hidden = true;
		try {
			const picture = await createImageBitmap(event.target.files[0]);
			const found = await new BarcodeDetector({ formats: ["qr_code"] }).detect(picture);
			for (const one of found) {
				const path = one.rawValue.match(/^https?:\/\/[^/]+(\/V\/[0-9A-Z]{26})$/i);
				if (path) {
					location.href = path[1].toUpperCase();
					return;
				}
			}
		} catch (error) {
			// A picture that cannot be read is one without a code.
		}
		none.hidden = false;
	});
}());
