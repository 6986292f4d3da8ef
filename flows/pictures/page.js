"use strict";
// What people do on the page: choose optimizers and colours, look into the panels. The plots themselves come from
// figures.py, whose traces say in meta.role what a choice does to them.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const isDark = window.matchMedia("(prefers-color-scheme: dark)");
  const theme = () => (isDark.matches ? "dark" : "light");
  // how plotly.py writes arrays
  const KINDS = {
    i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array,
    f4: Float32Array, f8: Float64Array,
  };
  const POINTWISE = ["x", "y", "customdata", "text"];

  let shown = null; // the numbers of the optimizers that are shown; null: all
  let colourBy = data.colourBy;
  let panel = "best";

  function decoded(value) {
    if (!value || value.bdata === undefined) return value;
    const bytes = Uint8Array.from(atob(value.bdata), (letter) => letter.charCodeAt(0));
    return new KINDS[value.dtype](bytes.buffer);
  }

  for (const figure of Object.values(data.figures)) {
    for (const trace of figure.data) {
      for (const key of POINTWISE) if (trace[key] !== undefined) trace[key] = decoded(trace[key]);
    }
  }
  for (const key of ["x", "optimizers"]) data.paths[key] = decoded(data.paths[key]);
  data.paths.scaled = data.paths.scaled.map(decoded);

  const isShown = (number) => shown === null || shown.has(number);

  function colourOf() {
    const { groups, colours } = data.groupings[colourBy];
    return groups.map((group) => colours[theme()][group] ?? data.others[theme()]);
  }

  // Only the points of a trace for which is(place) holds.
  function filtered(trace, is) {
    const places = [];
    for (let place = 0; place < trace.customdata.length; place++) if (is(place)) places.push(place);
    const chosen = { ...trace };
    for (const key of POINTWISE) if (trace[key]?.length) chosen[key] = places.map((place) => trace[key][place]);
    return chosen;
  }

  // Curves in the groups that have a colour each now, what stands out last.
  function regrouped(traces) {
    const { names, groups, colours, other } = data.groupings[colourBy];
    const keys = POINTWISE.filter((key) => traces[0][key]?.length);
    const found = names.map(() => Object.fromEntries(keys.map((key) => [key, []])));
    for (const trace of traces) {
      for (let place = 0; place < trace.customdata.length; place++) {
        const number = trace.customdata[place];
        if (!isShown(number)) continue;
        const group = found[groups[number]];
        for (const key of keys) group[key].push(trace[key][place]);
      }
    }
    return found
      .map((points, group) => ({
        ...traces[0],
        ...points,
        name: names[group],
        line: { ...traces[0].line, color: colours[theme()][group] },
        opacity: group === other ? data.othersOpacity : 1,
      }))
      .filter((trace) => trace.x?.length)
      .reverse();
  }

  function inked(trace) {
    const color = data.ink[theme()];
    const own = { ...trace };
    for (const key of ["line", "marker"]) if (trace[key]) own[key] = { ...trace[key], color };
    return own;
  }

  function presented(figure) {
    const curves = figure.data.filter((trace) => trace.meta?.role === "curves");
    const rest = figure.data.filter((trace) => trace.meta?.role !== "curves");
    const colour = colourOf();
    const count = shown === null ? data.optimizers : shown.size;
    const traces = rest.map((trace) => {
      const chosen = trace.customdata ? filtered(trace, (place) => isShown(trace.customdata[place])) : trace;
      if (trace.meta?.role === "ink") return inked(chosen);
      const marker = { ...chosen.marker, color: Array.from(chosen.customdata, (number) => colour[number]) };
      if (trace.meta.role !== "icons") return { ...chosen, marker };
      return {
        ...chosen,
        marker: { ...marker, line: { ...marker.line, color: data.paper[theme()] } },
        mode: count <= data.mostNumbered ? "markers+text" : "markers",
      };
    });
    return [...(curves.length ? regrouped(curves) : []), ...traces];
  }

  function parameterFigure() {
    const figure = data.figures.parameters;
    const place = Number(element("parameter").value);
    const isScaled = element("scaled").checked;
    const { lower, upper, isLog, physical, scaled } = data.parameters[place];
    const u = data.paths.scaled[place];
    const toPhysical = isLog ? (value) => lower * (upper / lower) ** value : (value) => lower + (upper - lower) * value;
    const y = isScaled ? u : Float64Array.from(u, toPhysical);
    const title = { text: isScaled ? scaled : physical };
    const yaxis = { ...figure.layout.yaxis, type: isLog && !isScaled ? "log" : "linear", title };
    const trace = { ...figure.data[0], x: data.paths.x, y, customdata: data.paths.optimizers };
    return {
      data: figure.data.length ? [trace] : [],
      layout: { ...figure.layout, yaxis, uirevision: `${place} ${isScaled}` }, // another one is zoomed out
    };
  }

  function draw(key) {
    const figure = key === "parameters" ? parameterFigure() : data.figures[key];
    const layout = { ...figure.layout, template: data.themes[theme()] };
    if (key === "losses") layout.showlegend = false; // the page has its own
    const config = { displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
    return Plotly.react(`plot-${key}`, presented(figure), layout, config).then((plot) => {
      if (plot.dataset.isHeard) return;
      plot.dataset.isHeard = "yes";
      plot.on("plotly_click", (event) => clicked(event.points[0]));
      new ResizeObserver(() => fitted(plot)).observe(plot);
    });
  }

  function fitted(plot) {
    const { width, height } = plot._fullLayout;
    const isFitting = Math.abs(width - plot.offsetWidth) < 1 && Math.abs(height - plot.offsetHeight) < 1; // those are rounded
    if (plot.offsetHeight && !isFitting) Plotly.Plots.resize(plot);
  }

  function clicked(point) {
    const number = Number(point.customdata);
    if (!Number.isInteger(number) || number < 1) return;
    choose(shown !== null && shown.size === 1 && shown.has(number) ? null : new Set([number]));
  }

  function choose(numbers) {
    shown = numbers;
    element("chosen").value = numbers === null ? "" : [...numbers].join(" ");
    refresh();
  }

  function refresh() {
    explain();
    const all = data.optimizers.toLocaleString("en");
    say(shown === null ? `all ${all} shown` : `${shown.size.toLocaleString("en")} of ${all} shown`);
    return Promise.all(["losses", ...(data.figures[panel] ? [panel] : [])].map(draw)).then(() => {
      document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
    });
  }

  // What colours and icons mean; each entry shows those alone that it is about.
  function explain() {
    const { names, groups, colours, inLegend } = data.groupings[colourBy];
    const everyone = Array.from({ length: data.optimizers }, (_, place) => place + 1);
    const entries = !inLegend ? [] : names.map((name, group) => (
      ["━", name, everyone.filter((number) => groups[number] === group), colours[theme()][group]]
    ));
    for (const { glyph, words, optimizers } of data.ends) {
      entries.push([glyph, `${words} (${optimizers.length.toLocaleString("en")})`, optimizers, ""]);
    }
    const buttons = entries.map(([glyph, words, those, color]) => {
      const entry = explained("button", glyph, words, color);
      entry.title = "Show only these";
      entry.addEventListener("click", () => choose(new Set(those)));
      return entry;
    });
    const signs = data.signs.map(([glyph, words]) => explained("span", glyph, words, ""));
    element("legend").replaceChildren(...buttons, ...signs);
  }

  function explained(kind, glyph, words, color) {
    const entry = document.createElement(kind);
    const sign = document.createElement("span");
    sign.textContent = glyph;
    sign.style.color = color;
    sign.setAttribute("aria-hidden", "true");
    entry.append(sign, ` ${words}`);
    return entry;
  }

  function say(text) {
    element("shown").textContent = text;
  }

  function chooseTyped() {
    const words = element("chosen").value.split(/[\s,;]+/).filter(Boolean);
    const isKnown = (word) => /^\d+$/.test(word) && Number(word) >= 1 && Number(word) <= data.optimizers;
    const unknown = words.filter((word) => !isKnown(word));
    if (unknown.length) return say(`there is no optimizer ${unknown.join(", ")}; there are 1 to ${data.optimizers}`);
    if (!words.length) return say("type the numbers of optimizers, as in 2 4 7");
    choose(new Set(words.map(Number)));
  }

  function open(key) {
    panel = key;
    for (const tab of document.querySelectorAll("[role=tab]")) {
      const isOpen = tab.dataset.panel === key;
      tab.setAttribute("aria-selected", isOpen);
      tab.tabIndex = isOpen ? 0 : -1;
      element(`panel-${tab.dataset.panel}`).hidden = !isOpen;
    }
    if (data.figures[key]) draw(key);
  }

  element("choice").addEventListener("submit", (event) => {
    event.preventDefault();
    chooseTyped();
  });
  element("all").addEventListener("click", () => choose(null));
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => open(tab.dataset.panel));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(place + step + tabs.length) % tabs.length];
      next.focus();
      open(next.dataset.panel);
    });
  });
  for (const [key, { title }] of Object.entries(data.groupings)) {
    element("colour-by").add(new Option(title, key, false, key === colourBy));
  }
  element("colour-by").addEventListener("change", (event) => {
    colourBy = event.target.value;
    refresh();
  });
  element("parameter").addEventListener("change", () => draw("parameters"));
  element("scaled").addEventListener("change", () => draw("parameters"));
  for (const button of document.querySelectorAll("[data-minimum]")) {
    button.addEventListener("click", () => choose(new Set(data.minima[Number(button.dataset.minimum)])));
  }
  isDark.addEventListener("change", refresh);

  open(panel);
  if (element("chosen").value.trim()) chooseTyped();
  if (shown === null) refresh();
})();
