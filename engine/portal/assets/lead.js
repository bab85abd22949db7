/* The leaders' page keeps its numbers new: the same page is asked for and its figures are put in. */
(function () {
	"use strict";
	var every = 10000, away = document.getElementById("away");

	function put(text) {
		var page = new DOMParser().parseFromString(text, "text/html");
		var next = page.getElementById("figures"), now = document.getElementById("figures");

		if (next === null)
			throw new Error("another page");
		/* Who goes through it by keyboard is not to lose their place. */
		if (!now.contains(document.activeElement))
			now.replaceWith(document.importNode(next, true));
		away.hidden = true;
	}

	function renew() {
		if (document.hidden)
			return;
		fetch(location.href, { credentials: "same-origin", cache: "no-store",
				       redirect: "error" }).then(function (answer) {
			if (!answer.ok)
				throw new Error(answer.status);
			return answer.text();
		}).then(put).catch(function () {
			away.hidden = false;
		});
	}

	setInterval(renew, every);
	document.addEventListener("visibilitychange", renew);
}());
