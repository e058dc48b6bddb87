/* The catalogue's own script: searching and filtering the list, copying, and tabs. Without it the pages can be read.

The first half reads words and ranks cards as hubtool/registry/reading.py and index.py do; docs/search.md has the rules.
It is a classic script, because browsers load no modules from file://. */
"use strict";

(function () {
  var facts = window.hubtoolFacts;
  var chinese = document.documentElement.lang.startsWith("zh");
  var IDEOGRAPH = "[\\u2e80-\\u9fff\\uac00-\\ud7af\\uf900-\\ufaff\\u{20000}-\\u{3ffff}]";
  var PIECE = new RegExp(
    "(?<![a-z])r?[0-9]+(?:\\.[0-9]+)+(?![a-z])|[0-9]+(?:\\.[0-9]+)*|\\p{Nd}+|" + IDEOGRAPH +
    "|\\p{L}+?(?=[^\\p{L}]|" + IDEOGRAPH + "|$)", "gu");
  var MAX_TERMS = 20, MAX_TOGETHER = 10, MAX_CHARACTERS = 400;

  function fold(text) {
    return text.normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
  }

  function tokens(text) {
    var found = [];
    (text.normalize("NFKC").toLowerCase().match(/[\p{L}\p{N}]+/gu) || []).forEach(function (run) {
      found.push.apply(found, run.replace(new RegExp(IDEOGRAPH, "gu"), " $& ").split(" ").filter(Boolean));
    });
    return found;
  }

  function translated(texts) { return texts[chinese ? 1 : 0]; }

  function say(key) {
    var values = Array.prototype.slice.call(arguments, 1);
    return translated(facts.texts["js_" + key]).replace(/\{(\d)\}/g, function (_, at) { return values[at]; });
  }

  // ---- The cards, with spaces around every text so that " word " finds whole words.

  var cards = [], lexicon, ignored, taskWords, known, exactNames;

  function prepare() {
    var shared = ["name", "architecture", "general", "dataset", "task", "other"];
    lexicon = new Map(Object.entries(facts.lexicon));
    taskWords = new Map(Object.entries(facts.taskWords));
    ignored = new Set(facts.ignored);
    known = new Set(facts.known.concat(Array.from(lexicon.keys()), Array.from(taskWords.keys())));
    exactNames = new Set();
    facts.models.forEach(function (model, place) {
      model.cards.forEach(function (row) {
        var card = { model: place, uid: row[0], newness: row[4], status: row[5], version: " " + row[3] + " " };
        card.exact = " " + fold(row[0]) + " " + row[1] + " ";
        shared.forEach(function (column, at) { card[column] = " " + facts.strings[row[6 + at]] + " "; });
        card.other = card.other.replaceAll(" @ ", " " + row[2] + " ").replaceAll(" @ ", " " + row[2] + " ");
        card.words = card.name.split(" ").length;
        card.exact.trim().split(" ").forEach(function (name) { exactNames.add(name); });
        cards.push(card);
      });
    });
  }

  // ---- Reading: which things the words stand for.

  function meaningsOf(folded) {
    var found = lexicon.get(folded), exact = exactNames.has(folded);
    if (!found && !exact) return null;
    return Object.assign({}, found, exact ? { exact: [folded] } : {});
  }

  function term(text, meanings, whole) {
    var made = { text: text, meanings: meanings || {}, whole: Boolean(whole), runs: tokens(text), joined: fold(text) };
    var columns = Object.keys(made.meanings);
    made.importance = Math.max.apply(null, columns.map(function (column) { return facts.points[column]; }).concat(0));
    made.asName = !columns.length || "exact" in made.meanings || "architecture" in made.meanings;
    made.columns = columns;
    return made;
  }

  /* The points of a card for a term: those of its best match, 0 for none. */
  function pointsOf(one, card) {
    var best = 0, phrase = " " + one.runs.join(" ");
    one.columns.forEach(function (column) {
      var found = one.meanings[column].some(function (token) { return card[column].includes(" " + token + " "); });
      if (found) best = Math.max(best, facts.points[column]);
    });
    if (!one.runs.length) return best;
    if (!one.asName) return best || (card.other.includes(phrase + " ") ? facts.points.other : 0);
    if (best < facts.points.name &&
        (card.name.includes(phrase + " ") || (/^[0-9a-z]+$/.test(one.joined) && card.name.includes(" " + one.joined + " ")))) {
      best = facts.points.name;
    }
    if (best || one.whole) return best;
    if (card.name.includes(phrase) || card.other.includes(phrase)) return facts.points.other;
    var within = one.runs.some(function (run) { return run.length >= 3; }) && one.runs.every(function (run) {
      var text = run.length >= 3 ? run : " " + run;
      return card.name.includes(text) || card.other.includes(text);
    });
    return within ? facts.points.grams : 0;
  }

  function any(one) { return cards.some(function (card) { return pointsOf(one, card) > 0; }); }

  function partsOf(one) {
    return Array.from(one.text.matchAll(PIECE), function (piece) { return term(piece[0], null, piece[0].length < 3); });
  }

  function readOnce(text) {
    var pieces = Array.from(text.matchAll(PIECE), function (match) {
      return { text: match[0], start: match.index, end: match.index + match[0].length };
    });
    var terms = [], optional = [], unknown = [], at = 0;

    function meaning(first, after) { return meaningsOf(fold(text.slice(pieces[first].start, pieces[after - 1].end))); }

    function readUnknown() {
      if (ignored.has(pieces[at].text)) {
        optional.push(term(pieces[at].text, null, true));
        return at + 1;
      }
      var end = at + 1;
      function meansSomething(first) {
        for (var after = first + 1; after <= Math.min(pieces.length, first + MAX_TOGETHER); after++) {
          if (meaning(first, after)) return true;
        }
        return false;
      }
      while (end < pieces.length && pieces[end].start === pieces[end - 1].end && !ignored.has(pieces[end].text) &&
             !meansSomething(end)) end++;
      var word = text.slice(pieces[at].start, pieces[end - 1].end), folded = fold(word);
      var one = term(word, null, /^[a-z]$/i.test(word));
      if (!any(one)) {
        if (taskWords.has(folded)) one = term(word, { general: taskWords.get(folded) });
        else if (!known.has(folded)) unknown.push(word);
      }
      terms.push(one);
      return end;
    }

    reading: while (at < pieces.length && terms.length < MAX_TERMS) {
      for (var end = Math.min(pieces.length, at + MAX_TOGETHER); end > at; end--) {
        var shown = text.slice(pieces[at].start, pieces[end - 1].end), found = meaning(at, end);
        if (!found && end === at + 1 && /^r?[0-9]+(?:\.[0-9]+)+$/.test(shown)) {
          var version = term(shown, { version: ["v" + shown.replace(/^r/, "").replaceAll(".", "p")] });
          if (cards.some(function (card) { return card.version === " " + version.meanings.version[0] + " "; })) {
            found = version.meanings;
          }
        }
        if (found) {
          terms.push(term(shown, found));
          at = end;
          continue reading;
        }
      }
      at = readUnknown();
    }
    return { terms: terms, optional: optional, unknown: unknown };
  }

  function read(text) {
    text = text.slice(0, MAX_CHARACTERS).normalize("NFKC").toLowerCase();
    text = text.replace(/(?<=[\p{L}\p{N}_])\++(?![\p{L}\p{N}_])/gu, function (signs) { return "plus".repeat(signs.length); });
    var corrected = [], found;
    for (var round = 0; round < 4; round++) {
      found = readOnce(text);
      var better = found.unknown.map(function (word) { return [word, closest(word)]; }).find(function (pair) { return pair[1]; });
      if (!better) break;
      corrected.push(better);
      text = text.replace(better[0], function () { return better[1]; });
    }
    found.corrected = corrected;
    return found;
  }

  // ---- Typing errors: the ratio of Python's difflib.

  function matching(a, aLow, aHigh, b, bLow, bHigh) {
    if (aLow >= aHigh || bLow >= bHigh) return 0;
    var besti = aLow, bestj = bLow, size = 0, lengths = {};
    for (var i = aLow; i < aHigh; i++) {
      var next = {};
      for (var j = bLow; j < bHigh; j++) {
        if (a[i] !== b[j]) continue;
        var length = next[j] = (lengths[j - 1] || 0) + 1;
        if (length > size) { besti = i - length + 1; bestj = j - length + 1; size = length; }
      }
      lengths = next;
    }
    if (!size) return 0;
    return size + matching(a, aLow, besti, b, bLow, bestj) + matching(a, besti + size, aHigh, b, bestj + size, bHigh);
  }

  function ratio(a, b) { return 2 * matching(a, 0, a.length, b, 0, b.length) / (a.length + b.length || 1); }

  function closest(word) {
    var folded = fold(word), best = null, bestRatio = folded.length <= 5 ? 0.75 : 0.8;
    if (folded.length < 4 || !/^[0-9a-z]+$/.test(folded)) return null;
    function look(one) {
      if (Math.abs(one.length - folded.length) > 2) return;
      var like = ratio(one, folded);
      if (like > bestRatio || (like === bestRatio && (best === null || one > best))) { best = one; bestRatio = like; }
    }
    known.forEach(look);
    exactNames.forEach(function (name) { if (name[0] === folded[0] && !known.has(name)) look(name); });
    return best;
  }

  // ---- Ranking.

  function ranked(terms, optional) {
    var best = new Map();
    if (!terms.length) return [];
    cards.forEach(function (card) {
      var points = 0;
      for (var at = 0; at < terms.length; at++) {
        var one = pointsOf(terms[at], card);
        if (!one) return;
        points += one;
      }
      optional.forEach(function (word) { points += pointsOf(word, card); });
      var score = ((card.status ? 0 : 1000) + points) * 2000000000 + card.newness, old = best.get(card.model);
      if (!old || score > old.score) best.set(card.model, { model: card.model, uid: card.uid, score: score, words: card.words });
    });
    return Array.from(best.values()).sort(function (a, b) {
      return b.score - a.score || a.words - b.words || (a.uid < b.uid ? -1 : 1);
    });
  }

  function search(text) {
    var found = read(text), wanted = found.terms, optional = found.optional, dropped = [], models;
    if (!wanted.length) {
      wanted = optional.map(function (one) { return term(one.text); });
      optional = [];
    }
    dropped = wanted.filter(function (one) { return !any(one); });
    wanted = wanted.filter(function (one) { return !dropped.includes(one); });
    models = ranked(wanted, optional);
    while (wanted.length && !models.length) {
      var order = wanted.map(function (one, at) { return [one, at]; }).sort(function (a, b) {
        return a[0].importance - b[0].importance || b[1] - a[1];
      });
      var least = order[0][0];
      for (var at = 0; at < order.length && !models.length; at++) {
        var tried = order[at][0];
        models = ranked(wanted.filter(function (one) { return one !== tried; }), optional.concat(partsOf(tried)));
        if (models.length) least = tried;
      }
      dropped.push(least);
      optional = optional.concat(partsOf(least));
      wanted = wanted.filter(function (one) { return one !== least; });
    }
    return { models: models, corrected: found.corrected, dropped: dropped.map(function (one) { return one.text; }) };
  }

  function near(text) {
    var folded = fold(text.slice(0, 100));
    return facts.models.map(function (model) { return [ratio(folded, fold(model.name.split("_")[0])), model.name]; })
      .filter(function (pair) { return pair[0] >= 0.7; }).sort(function (a, b) { return b[0] - a[0]; }).slice(0, 3)
      .map(function (pair) { return pair[1]; });
  }

  // ---- The list.

  var FACETS = ["task", "dataset", "version", "size", "licence", "verified", "publisher"];
  var PAGE = 100;  // rows that are added at once
  var MANY = 20000, PAUSE = 250;  // cards with which a search waits, and ms without a key
  var ORDERS = ["best", "name", "date", "parameters"];

  function shownValue(facet, value) {
    if (facet === "task" && facts.tasks[value]) return translated(facts.tasks[value]);
    return facet === "verified" || facet === "size" ? translated(facts.texts[facet + "_" + value]) : value;
  }

  function element(tag, text) {
    var made = document.createElement(tag);
    made.textContent = text;
    return made;
  }

  /* An entry of the list, as templates/index.html has it. */
  function row(at, uid) {
    var model = facts.models[at], shown = model.shown, newest = model.cards[0][0];
    var made = document.createElement("li"), heading = document.createElement("h2"), list = document.createElement("dl");
    var link = element("a", model.name), text = facts.strings[shown[chinese ? 2 : 1]], task = facts.tasks[shown[7]];
    function fact(name, value) {
      if (!value) return;
      var pair = document.createElement("div"), cell = document.createElement("dd");
      cell.append.apply(cell, Array.isArray(value) ? value : [value]);
      pair.append(element("dt", say(name)), cell);
      list.append(pair);
    }
    made.dataset.uid = uid || newest;
    link.href = shown[0];
    var place = model.cards.findIndex(function (card) { return card[0] === uid; });
    if (place > 0) link.hash = "#" + model.versions[place][1];
    heading.append(link);
    if (shown[6]) {
      var badge = element("span", translated(facts.texts["status_" + shown[6]]));
      badge.className = "badge";
      heading.append(" ", badge);
    }
    fact("task", task ? translated(task) : shown[7]);
    fact("dataset", model.facets.dataset.join(", "));
    fact("score", shown[3]);
    fact("licence", shown[4]);
    fact("verified", translated(facts.texts["verified_" + shown[5]]));
    fact("versions", model.versions.flatMap(function (version, place) {
      var one = element("a", version[0]);
      one.href = shown[0] + "#" + version[1];
      return place ? [" ", one] : [one];
    }));
    made.append(heading, element("p", text), list);
    return made;
  }

  function list() {
    var form = document.getElementById("finder"), words = document.getElementById("words");
    var place = document.getElementById("models"), status = document.getElementById("status");
    var selects = {}, fieldset = document.getElementById("facets"), shownHash = null, found = [], many = PAGE, waiting = 0;
    var more = document.createElement("button");
    prepare();
    more.type = "button";
    more.textContent = say("more");
    more.addEventListener("click", function () {
      var first = many;
      many += PAGE;
      draw(first);
      links()[first].focus();
    });
    place.after(more);
    document.querySelectorAll("#after").forEach(function (link) { link.remove(); });

    FACETS.concat("sort").forEach(function (facet) {
      var label = document.createElement("label"), select = document.createElement("select");
      label.textContent = say(facet);
      label.append(select);
      fieldset.append(label);
      select.addEventListener("change", function () { show(true); });
      selects[facet] = select;
    });
    ORDERS.forEach(function (order) { selects.sort.append(new Option(say(order), order === "best" ? "" : order)); });
    FACETS.forEach(function (facet) {
      var values = new Set(facts.models.flatMap(function (model) { return model.facets[facet]; }));
      selects[facet].append(new Option(say("any"), ""));
      Array.from(values).map(function (value) { return [shownValue(facet, value), value]; }).sort(function (a, b) {
        var at = facet === "size" ? 1 : 0;  // their values are numbered by size
        var compared = a[at].localeCompare(b[at], document.documentElement.lang, { numeric: true });
        return facet === "version" ? -compared : compared;
      }).forEach(function (pair) { selects[facet].append(new Option(pair[0], pair[1])); });
    });
    var clear = document.createElement("button");
    clear.type = "button";
    clear.textContent = say("clear");
    clear.addEventListener("click", function () {
      words.value = "";
      fieldset.querySelectorAll("select").forEach(function (select) { select.value = ""; });
      show(true);
      words.focus();
    });
    fieldset.append(clear);

    function passes(model, except) {
      return FACETS.every(function (facet) {
        return facet === except || !selects[facet].value || facts.models[model].facets[facet].includes(selects[facet].value);
      });
    }

    function compare(a, b) {
      var one = facts.models[a.model], other = facts.models[b.model], order = selects.sort.value;
      if (order === "date") return one.updated < other.updated ? 1 : one.updated > other.updated ? -1 : 0;
      if (order === "parameters") return (one.parameters || Infinity) === (other.parameters || Infinity) ? 0
        : (one.parameters || Infinity) - (other.parameters || Infinity);
      return one.name.localeCompare(other.name, "en", { numeric: true });
    }

    function count(models) {
      FACETS.forEach(function (facet) {
        var counts = new Map();
        models.forEach(function (one) {
          if (!passes(one.model, facet)) return;
          facts.models[one.model].facets[facet].forEach(function (value) { counts.set(value, (counts.get(value) || 0) + 1); });
        });
        Array.from(selects[facet].options).forEach(function (option) {
          if (!option.value) return;
          var many = counts.get(option.value) || 0;
          option.text = shownValue(facet, option.value) + " (" + many + ")";
          option.hidden = !many && !option.selected;
        });
      });
    }

    function remember(lasting) {
      var state = new URLSearchParams();
      if (words.value.trim()) state.set("q", words.value.trim());
      Object.keys(selects).forEach(function (name) { if (selects[name].value) state.set(name, selects[name].value); });
      var hash = state.toString() ? "#" + state : "";
      if (hash === shownHash) return;
      shownHash = hash;
      history[lasting ? "pushState" : "replaceState"](null, "", location.pathname + location.search + hash);
      document.querySelector(".language").hash = hash;
    }

    function restore() {
      var state = new URLSearchParams(location.hash.slice(1));
      shownHash = location.hash;
      words.value = state.get("q") || "";
      Object.keys(selects).forEach(function (name) {
        selects[name].value = state.get(name) || "";
        if (selects[name].selectedIndex < 0) selects[name].value = "";
      });
      document.querySelector(".language").hash = location.hash;
      show(false, true);
    }

    /* Add the rows that come behind the first ones, as far as they are shown. */
    function draw(first) {
      place.append.apply(place, found.slice(first, many).map(function (one) { return row(one.model, one.uid); }));
      more.hidden = found.length <= many;
    }

    function show(lasting, restored) {
      var text = words.value.trim(), notes = [];
      var asked = text ? search(text) : { models: facts.models.map(function (_, at) { return { model: at }; }), corrected: [], dropped: [] };
      found = asked.models.filter(function (one) { return passes(one.model); });
      if (!text || selects.sort.value) found = found.slice().sort(compare);
      many = PAGE;
      count(asked.models);
      place.replaceChildren();
      draw(0);
      notes.push(say("count", found.length, facts.models.length) + (chinese ? "。" : "."));
      asked.corrected.forEach(function (pair) { notes.push(say("corrected", pair[0], pair[1])); });
      if (asked.dropped.length) notes.push(say("dropped", asked.dropped.join(", ")));
      if (!asked.models.length) {
        var like = near(text);
        notes.push(like.length ? say("near", like.join(chinese ? "、" : ", ")) : say("nothing"));
      }
      status.textContent = notes.join(" ");
      if (!restored) remember(lasting);
    }

    function links() { return Array.from(place.querySelectorAll("h2 a")); }

    words.addEventListener("input", function () {
      clearTimeout(waiting);
      if (cards.length < MANY) show(false);
      else waiting = setTimeout(function () { show(false); }, PAUSE);
    });
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      if (links().length) links()[0].click();
    });
    document.addEventListener("keydown", function (event) {
      var typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/" && !typing) {
        event.preventDefault();
        words.focus();
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        var all = links(), at = all.indexOf(document.activeElement);
        if (event.target !== words && at < 0) return;
        event.preventDefault();
        at += event.key === "ArrowDown" ? 1 : -1;
        (at < 0 ? words : all[Math.min(at, all.length - 1)] || words).focus();
      }
    });
    window.addEventListener("popstate", restore);
    form.hidden = false;
    restore();
    // On a phone, what was found comes before the filters that are not in use.
    document.getElementById("more").open = !matchMedia("(max-width: 32rem)").matches ||
      Object.keys(selects).some(function (name) { return selects[name].value; });
  }

  // ---- A model's page.

  function copyButtons() {
    var texts = chinese ? ["复制", "已复制"] : ["Copy", "Copied"];
    document.querySelectorAll(".copied").forEach(function (place) {
      var code = place.querySelector("code"), button = document.createElement("button");
      button.type = "button";
      button.textContent = texts[0];
      button.setAttribute("aria-label", texts[0] + ": " + code.textContent.split("\n").slice(-1)[0]);
      button.addEventListener("click", function () {
        function done() { button.textContent = texts[1]; }
        function bySelection() {
          getSelection().selectAllChildren(code);
          if (document.execCommand("copy")) done();
        }
        if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, bySelection);
        else bySelection();
      });
      place.append(button);
    });
  }

  function tabs(section) {
    var panels = Array.from(section.querySelectorAll("section")), bar = document.createElement("div"), buttons;
    bar.setAttribute("role", "tablist");
    bar.setAttribute("aria-labelledby", "use");
    function choose(at) {
      buttons.forEach(function (button, place) {
        button.setAttribute("aria-selected", String(place === at));
        button.tabIndex = place === at ? 0 : -1;
        panels[place].hidden = place !== at;
      });
    }
    buttons = panels.map(function (panel, at) {
      var button = document.createElement("button"), heading = panel.querySelector("h3");
      button.type = "button";
      button.id = "tab" + at;
      button.setAttribute("role", "tab");
      button.setAttribute("aria-controls", "panel" + at);
      button.textContent = heading.textContent;
      heading.hidden = true;
      panel.id = "panel" + at;
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", button.id);
      button.addEventListener("click", function () { choose(at); });
      bar.append(button);
      return button;
    });
    bar.addEventListener("keydown", function (event) {
      var step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], at = buttons.indexOf(event.target);
      if (!step || at < 0) return;
      at = (at + step + buttons.length) % buttons.length;
      choose(at);
      buttons[at].focus();
    });
    panels[0].before(bar);
    choose(0);
  }

  function openVersion() {
    var part = document.getElementById(location.hash.slice(1));
    if (part && part.tagName === "DETAILS") {
      part.open = true;
      part.scrollIntoView();
    }
  }

  if (document.getElementById("finder") && facts) list();
  copyButtons();
  document.querySelectorAll(".use").forEach(tabs);
  document.querySelectorAll(".body pre").forEach(function (block) { block.tabIndex = 0; });  // to scroll it by keys
  if (!document.getElementById("finder")) {
    openVersion();
    window.addEventListener("hashchange", openVersion);
  }
})();
