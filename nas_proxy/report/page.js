// Draws the charts of the page from the data embedded in it, and their tables, and follows theme, device and printer.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const at = (id) => document.getElementById(id);
  const darkSystem = matchMedia("(prefers-color-scheme: dark)");
  const state = { target: 0, finalist: 0, measure: null, whole: false, chosen: [] };
  const byNumber = new Map(data.networks.map((network) => [network.number, network]));
  const byArch = new Map(data.networks.map((network) => [network.arch, network]));

  // -- text ----------------------------------------------------------------------------------------------------------
  const number = (x) => x === null || x === undefined ? "–" : x === 0 ? "0"
    : Math.abs(x) >= 99.95 ? Math.round(x).toLocaleString("en") : x.toPrecision(3).replace(/\.$/, "");
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;"); // for Plotly
  const wrapped = (text) => plain(String(text).match(/.{1,64}/gu)?.join("\n") ?? "").replace(/\n/g, "<br>");
  const shortened = (text, most = 34) => text.length > most ? `${text.slice(0, most / 2 - 1)}…${text.slice(-most / 2)}` : text;

  // -- colours -------------------------------------------------------------------------------------------------------
  const isDark = () => (root.dataset.theme ?? (darkSystem.matches ? "dark" : "light")) === "dark";
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  // Okabe & Ito's colours, distinct to colour-blind readers too
  const series = () => isDark()
    ? ["#7db4ee", "#ef9a62", "#6cc795", "#d79bcb", "#e5d26a", "#8fd6e8"]
    : ["#1f5fa8", "#c8692f", "#22865a", "#a85b95", "#a38a00", "#3b94b0"];

  // -- drawing -------------------------------------------------------------------------------------------------------
  const axis = (title, more = {}) => ({
    title: { text: title, standoff: 10, font: { size: 13 } }, gridcolor: colour("grid"), linecolor: colour("line"), zeroline: false,
    automargin: true, ...more,
  });
  function draw(id, traces, layout, config = {}) {
    const chart = at(id);
    const whole = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", colorway: series(),
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("quiet") },
      margin: { l: 8, r: 12, t: 10, b: 8 }, showlegend: false, hovermode: "closest",
      hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("line"), align: "left", font: { color: colour("ink"), size: 13 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("points"), activecolor: colour("accent") },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: colour("ink") } },
      ...layout,
    };
    if (document.body.classList.contains("printing")) { // the browser lays the paper out before a chart could follow
      whole.width = chart.clientWidth;
      whole.height = chart.clientHeight;
    }
    return Plotly.react(chart, traces, whole, { responsive: true, displaylogo: false, displayModeBar: false, ...config });
  }

  // -- tables, the alternative to each chart ---------------------------------------------------------------------------
  function table(id, headings, rows) {
    const element = document.createElement("table");
    const head = element.createTHead().insertRow();
    for (const text of headings) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = text;
      head.append(cell);
    }
    const body = element.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      row.forEach((value, column) => {
        const cell = line.insertCell();
        if (typeof value === "number") cell.textContent = number(value);
        else cell.textContent = value ?? "–";
        if (headings[column] === "architecture") cell.className = "arch";
        if (rows.every((other) => typeof other[column] === "number" || other[column] === null)) {
          cell.className = "n";
          head.cells[column].className = "n";
        }
      });
    }
    at(id).replaceChildren(element);
  }

  // -- the front -----------------------------------------------------------------------------------------------------
  const latency = (network, target) => network.predicted_ms[target.name];
  const about = (network) => `<b>#${network.number}</b>  accuracy ${network.accuracy.toFixed(2)}<br>${wrapped(network.arch)}`;

  function accuracyRange(target) { // the upper part, where the decision is; the button shows the rest
    const sorted = data.networks.map((network) => network.accuracy).sort((a, b) => a - b);
    const share = (part) => sorted[Math.floor((sorted.length - 1) * part)];
    const best = sorted.at(-1), answer = target.recommendation.network;
    const low = Math.min(Math.max(share(0.3), best - 2.5 * (best - share(0.5))), answer ? answer.accuracy : best);
    if (state.whole || low === best || low === sorted[0]) return undefined;
    return [low - 0.09 * (best - low), best + 0.09 * (best - low)];
  }

  function drawFront() {
    const target = data.targets[state.target];
    const on = new Set(target.front.numbers);
    const rest = data.networks.filter((network) => !on.has(network.number));
    const front = target.front.numbers.map((n) => byNumber.get(n));
    const points = (networks, marker, name, more = {}) => ({
      type: "scatter", mode: "markers", name, x: networks.map((n) => latency(n, target)), y: networks.map((n) => n.accuracy),
      customdata: networks.map((n) => n.number), text: networks.map((n) => about(n)),
      hovertemplate: "%{text}<br>predicted %{x:.3g} ms<extra></extra>", marker, ...more,
    });
    const traces = [
      points(rest, { size: 8, color: colour("points"), opacity: 0.85 }, "evaluated"),
      points(front, { size: 9, color: colour("accent") }, "front", { mode: "lines+markers", line: { shape: "hv", width: 1.5, color: colour("accent") } }),
    ];
    const found = target.check
      ? target.check.archs.map((arch, i) => ({ network: byArch.get(arch), ms: target.check.true_ms[i] })).filter((each) => each.network) : [];
    const optimised = data.finalists.filter((f) => f.target === target.name && byArch.has(f.arch))
      .map((f) => ({ network: byArch.get(f.arch), ms: f.latency_ms }));
    const later = (pairs, name, marker) => {
      if (!pairs.length) return;
      traces.push({
        type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, line: { color: colour("second"), width: 1, dash: "dot" },
        x: pairs.flatMap((p) => [latency(p.network, target), p.ms, null]), y: pairs.flatMap((p) => [p.network.accuracy, p.network.accuracy, null]),
      }, {
        type: "scatter", mode: "markers", name, x: pairs.map((p) => p.ms), y: pairs.map((p) => p.network.accuracy),
        text: pairs.map((p) => about(p.network)), customdata: pairs.map((p) => p.network.number), marker,
        hovertemplate: `%{text}<br>${name} %{x:.3g} ms<extra></extra>`,
      });
    };
    later(found, "found afterwards", { symbol: "diamond-open", size: 9, color: colour("second"), line: { width: 1.5 } });
    later(optimised, "optimised", { symbol: "diamond", size: 9, color: colour("second") });
    const answer = target.recommendation.network;
    if (answer) {
      traces.push({
        type: "scatter", mode: "markers", name: "recommended", hoverinfo: "skip", x: [target.recommendation.latency_ms], y: [answer.accuracy],
        marker: { symbol: "circle-open", size: 19, color: colour("ink"), line: { width: 2 } },
      });
    }
    if (target.density) {
      const { edges_ms: edges, counts } = target.density;
      traces.push({
        type: "bar", yaxis: "y2", showlegend: false, x: counts.map((_, i) => (edges[i] + edges[i + 1]) / 2), y: counts,
        width: counts.map((_, i) => (edges[i + 1] - edges[i]) * 0.9), marker: { color: colour("points"), opacity: 0.6 },
        hovertemplate: "%{y:,} networks near %{x:.3g} ms<extra></extra>",
      });
    }
    const shapes = target.limit_ms === null ? [] : [{
      type: "line", x0: target.limit_ms, x1: target.limit_ms, yref: "paper", y0: 0, y1: 1, line: { color: colour("second"), width: 1.5, dash: "dash" },
    }];
    const annotations = shapes.map(() => ({
      text: `limit ${target.limit_ms} ms`, x: target.limit_ms, y: 1, yref: "paper", yanchor: "top", xanchor: "left",
      showarrow: false, font: { color: colour("second"), size: 12 },
    }));
    const strip = target.density ? 0.13 : 0;
    draw("front-chart", traces, {
      showlegend: true, shapes, annotations, dragmode: "zoom", hovermode: "closest",
      xaxis: axis(`latency on ${plain(target.name)} [ms]`, { anchor: strip ? "y2" : "y" }),
      yaxis: axis("accuracy", { domain: [strip + (strip ? 0.03 : 0), 1], range: accuracyRange(target) }),
      yaxis2: { domain: [0, strip], visible: false, fixedrange: true },
      margin: { l: 8, r: 12, t: 36, b: 8 },
    }, { displayModeBar: true, modeBarButtons: [["zoom2d", "pan2d", "select2d", "lasso2d", "resetScale2d", "toImage"]],
      toImageButtonOptions: { format: "svg", filename: "pareto-front" } });
    const chosen = answer?.number;
    table("front-table", ["network", "accuracy", "predicted [ms]", ...(found.length ? ["found [ms]"] : []), ...(optimised.length ? ["optimised [ms]"] : []), "", "architecture"],
      front.map((n) => [`#${n.number}`, n.accuracy.toFixed(2), latency(n, target),
        ...(found.length ? [found.find((f) => f.network === n)?.ms ?? null] : []),
        ...(optimised.length ? [optimised.find((f) => f.network === n)?.ms ?? null] : []),
        n.number === chosen ? "recommended" : "", n.arch]));
  }

  function listChosen(numbers) {
    state.chosen = numbers;
    const target = data.targets[state.target];
    if (!numbers.length) return at("chosen").replaceChildren();
    table("chosen", ["chosen", "accuracy", `${target.name} [ms]`, "architecture"],
      numbers.map((n) => byNumber.get(n)).sort((a, b) => latency(a, target) - latency(b, target))
        .map((n) => [`#${n.number}`, n.accuracy.toFixed(2), latency(n, target), n.arch]));
  }

  // -- the proxy -----------------------------------------------------------------------------------------------------
  function drawProxy() {
    const found = data.targets[state.target].evidence;
    if (!found) return;
    const held = found.held_out_ms.length === found.measured_ms.length;
    const every = [...found.measured_ms, ...found.held_out_ms];
    const ends = [Math.min(...every) * 0.95, Math.max(...every) * 1.05];
    draw("scatter-chart", [
      { type: "scatter", mode: "lines", x: ends, y: ends, hoverinfo: "skip", line: { color: colour("points"), width: 1, dash: "dot" } },
      { type: "scatter", mode: "markers", x: found.measured_ms, y: held ? found.held_out_ms : [], text: found.archs.map(wrapped),
        marker: { size: 9, color: colour("accent"), opacity: 0.85 },
        hovertemplate: "%{text}<br>measured %{x:.3g} ms, predicted %{y:.3g} ms<extra></extra>" },
    ], {
      xaxis: axis("measured [ms]"), yaxis: axis("predicted without it [ms]"),
      annotations: held ? [] : [{ text: "too few measurements to hold any out", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }],
    });
    table("scatter-table", ["measured [ms]", "predicted [ms]", "architecture"],
      found.archs.map((arch, i) => [found.measured_ms[i], held ? found.held_out_ms[i] : null, arch]));
    const { devices, tau } = data.correlations;
    const names = devices.map((name) => plain(shortened(name, 20)));
    draw("heat-chart", [{
      type: "heatmap", x: names, y: names, z: tau, zmin: 0, zmax: 1, xgap: 2, ygap: 2, showscale: devices.length > 10,
      colorscale: [[0, colour("page")], [0.5, colour("accent-soft")], [1, colour("accent")]], texttemplate: devices.length > 10 ? "" : "%{z:.2f}",
      hovertemplate: "%{y} and %{x}: %{z:.3f}<extra></extra>",
    }], { xaxis: axis("", { showgrid: false }), yaxis: axis("", { autorange: "reversed", showgrid: false }) });
    table("heat-table", ["", ...devices], devices.map((name, i) => [name, ...tau[i]]));
  }

  // -- the search ----------------------------------------------------------------------------------------------------
  function drawSearch() {
    const target = data.targets[state.target];
    const trials = data.networks.map((n) => n.number);
    let best = -Infinity;
    const bests = data.networks.map((n) => (best = Math.max(best, n.accuracy)));
    draw("search-chart", [
      { type: "scatter", mode: "markers", name: "a network", x: trials, y: data.networks.map((n) => n.accuracy), text: data.networks.map(about),
        marker: { size: 7, color: colour("points") }, hovertemplate: "%{text}<extra></extra>" },
      { type: "scatter", mode: "lines", name: "best so far", x: trials, y: bests, line: { shape: "hv", width: 2, color: colour("accent") },
        hovertemplate: "best of %{x}: %{y:.2f}<extra></extra>" },
      { type: "scatter", mode: "lines", name: "hypervolume", x: trials, y: target.progress.hypervolume, yaxis: "y2",
        line: { shape: "hv", width: 2, color: colour("second") }, hovertemplate: "after %{x}: %{y:.1%}<extra></extra>" },
    ], {
      showlegend: true, margin: { l: 8, r: 12, t: 36, b: 8 },
      xaxis: axis("trial", { anchor: "y2", rangemode: "tozero" }),
      yaxis: axis("accuracy", { domain: [0.42, 1], range: accuracyRange(target) }),
      yaxis2: axis("hypervolume", { domain: [0, 0.34], tickformat: ".0%", range: [0, 1.05] }),
    });
  }

  // -- the finalists -------------------------------------------------------------------------------------------------
  function drawFinalist() {
    const finalist = data.finalists[state.finalist];
    if (!finalist) return;
    drawGains(finalist);
    drawLayers(finalist);
    at("pipeline").hidden = !finalist.stages.length;
    if (finalist.stages.length) drawStages(finalist);
    const kinds = Object.entries(finalist.substitutions).map(([rule, count]) => `${rule} ${count}×`).join(", ");
    at("spent").textContent = `Found in ${finalist.evaluations.toLocaleString("en")} evaluations and ${number(finalist.cpu_s)} s of CPU. `
      + (kinds ? `Rewritten by: ${kinds}.` : "Nothing was rewritten.")
      + (finalist.layers.some((layer) => layer.bound === "measured") ? " Layers are timed one by one, and add up to more than the network takes." : "");
  }

  const measures = {
    latency: { title: "latency [ms]", of: (variant) => variant.latency_ms },
    pace: { title: "time per input, pipeline full [ms]", of: (variant) => variant.throughput_per_s ? 1000 / variant.throughput_per_s : null },
    energy: { title: "energy [mJ]", of: (variant) => variant.energy_mj },
  };

  function drawGains(finalist) {
    const known = (measure) => finalist.variants.every((variant) => measures[measure].of(variant) !== null);
    for (const option of at("measure").options) option.disabled = !known(option.value);
    const usual = known("pace") ? "pace" : "latency"; // a pipeline is cut for its pace
    at("measure").value = state.measure && known(state.measure) ? state.measure : usual;
    const measure = measures[at("measure").value];
    const of = new Map(finalist.variants.map((variant) => [variant.name, measure.of(variant)]));
    const before = of.get("nothing"), after = of.get("all");
    const steps = ["rewriting", "mapping", "scheduling"].filter((name) => of.has(name))
      .map((name) => ({ name, change: of.get(name) - before }));
    const together = after - before - steps.reduce((sum, step) => sum + step.change, 0); // gains need not add up
    if (!steps.length || Math.abs(together) > 1e-6 * before) steps.push({ name: "together", change: together });
    const signed = (change) => `${change > 0 ? "+" : change < 0 ? "−" : ""}${number(Math.abs(change))}`;
    draw("gain-chart", [{
      type: "waterfall", x: ["as it is", ...steps.map((step) => step.name), "optimised"],
      y: [before, ...steps.map((step) => step.change), after],
      text: [number(before), ...steps.map((step) => signed(step.change)), number(after)], textposition: "outside", cliponaxis: false,
      measure: ["absolute", ...steps.map(() => "relative"), "total"], connector: { line: { color: colour("line"), width: 1 } },
      totals: { marker: { color: colour("accent") } }, decreasing: { marker: { color: colour("good") } }, increasing: { marker: { color: colour("second") } },
      textfont: { color: colour("ink") }, hovertemplate: "%{x}: %{text}<extra></extra>",
    }], {
      xaxis: axis("", { showgrid: false, fixedrange: true }), margin: { l: 8, r: 12, t: 30, b: 8 },
      yaxis: axis(measure.title, { rangemode: "tozero", fixedrange: true }),
    });
    table("gain-table", ["optimised by", "latency [ms]", "energy [mJ]", "per second"],
      finalist.variants.map((variant) => [`${variant.name}${["nothing", "all"].includes(variant.name) ? "" : " alone"}`,
        variant.latency_ms, variant.energy_mj, variant.throughput_per_s]));
  }

  function drawLayers(finalist) {
    const bounds = [...new Set(finalist.layers.map((layer) => layer.bound))].sort();
    const called = ({ name, operator }) => name.toLowerCase().includes(operator.toLowerCase()) ? name : `${name} ${operator}`;
    const places = finalist.layers.map((layer, i) => `${i + 1}  ${plain(shortened(called(layer)))}`); // names may repeat
    const traces = bounds.map((bound, i) => {
      const own = finalist.layers.map((layer, place) => ({ layer, place })).filter((each) => each.layer.bound === bound);
      return {
        type: "bar", orientation: "h", name: bound === "measured" ? bound : `bound by ${plain(bound)}`, y: own.map((each) => places[each.place]), x: own.map((each) => each.layer.latency_ms),
        marker: { color: series()[i % series().length] }, text: own.map((each) => plain(each.layer.operator)),
        textposition: "none", hovertemplate: "%{text}: %{x:.3g} ms, %{fullData.name}<extra></extra>",
      };
    });
    const rest = `${finalist.rest.count} others`;
    const annotations = finalist.rest.count ? [{
      text: `and ${rest}, together ${number(finalist.rest.latency_ms)} ms`, xref: "paper", yref: "paper", x: 1, y: 0.02,
      xanchor: "right", yanchor: "bottom", showarrow: false, font: { size: 12 },
    }] : [];
    draw("layer-chart", traces, {
      showlegend: true, annotations, barmode: "stack", bargap: 0.25, margin: { l: 8, r: 12, t: 36, b: 8 },
      xaxis: axis("latency [ms]", { fixedrange: true }),
      yaxis: axis("", { autorange: "reversed", showgrid: false, fixedrange: true, tickfont: { size: 11 }, categoryarray: places, categoryorder: "array" }),
    });
    table("layer-table", ["layer", "operator", "latency [ms]", "energy [mJ]", "bound by", "of peak"],
      [...finalist.layers.map((layer) => [layer.name, layer.operator, layer.latency_ms, layer.energy_mj, layer.bound,
        layer.utilization === null ? "–" : `${number(100 * layer.utilization)} %`]),
      ...(finalist.rest.count ? [[rest, "", finalist.rest.latency_ms, null, "", ""]] : [])]);
  }

  function drawStages(finalist) {
    const inputs = 4, names = finalist.stages.map((_, i) => `stage ${i + 1}`), ends = [];
    for (let input = 0; input < inputs; input++) {
      ends.push([]);
      finalist.stages.forEach((stage, i) => {
        const ready = Math.max(i ? ends[input][i - 1] : 0, input ? ends[input - 1][i] : 0);
        ends[input].push(ready + stage.latency_ms);
      });
    }
    draw("stage-chart", ends.map((end, input) => ({
      type: "bar", orientation: "h", name: `input ${input + 1}`, y: names, base: end.map((ms, i) => ms - finalist.stages[i].latency_ms),
      x: finalist.stages.map((stage) => stage.latency_ms), marker: { color: series()[input] },
      customdata: end, hovertemplate: `input ${input + 1}, %{y}: %{x:.3g} ms, done at %{customdata:.3g} ms<extra></extra>`,
    })), {
      showlegend: true, barmode: "overlay", bargap: 0.35, margin: { l: 8, r: 12, t: 36, b: 8 },
      xaxis: axis("time [ms]", { fixedrange: true }), yaxis: axis("", { autorange: "reversed", showgrid: false, fixedrange: true }),
    });
    table("stage-table", ["stage", "latency [ms]", "operators"],
      finalist.stages.map((stage, i) => [names[i], stage.latency_ms, stage.nodes.join(", ")]));
  }

  // -- what changes ----------------------------------------------------------------------------------------------------
  function drawTarget() {
    drawFront();
    drawProxy();
    drawSearch();
    listChosen(state.chosen);
  }
  function nameTheme() {
    at("theme").textContent = isDark() ? "Light" : "Dark";
    at("theme").setAttribute("aria-label", isDark() ? "Change to light colours" : "Change to dark colours");
  }
  function drawAll() {
    nameTheme();
    drawTarget();
    drawFinalist();
  }
  const finalistOf = ({ name, recommendation }) => // the recommended one
    data.finalists.findIndex((f) => f.target === name && f.number === (recommendation.network?.number ?? f.number));
  const choices = (what) => document.querySelectorAll(`select[data-choose="${what}"]`);
  function choose(what, index) {
    state[what] = index;
    for (const select of choices(what)) select.value = String(index);
    if (what === "target") {
      drawTarget();
      const own = finalistOf(data.targets[index]);
      if (own >= 0) choose("finalist", own);
    } else drawFinalist();
  }
  state.finalist = Math.max(finalistOf(data.targets[0]), 0);
  for (const what of ["target", "finalist"]) {
    for (const select of choices(what)) {
      select.value = String(state[what]); // a browser may remember another from before a reload
      select.addEventListener("change", () => choose(what, Number(select.value)));
    }
  }
  at("measure")?.addEventListener("change", (event) => {
    state.measure = event.currentTarget.value;
    drawGains(data.finalists[state.finalist]);
  });
  at("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    drawAll();
  });
  darkSystem.addEventListener("change", drawAll);
  at("whole").addEventListener("click", (event) => {
    state.whole = !state.whole;
    event.currentTarget.setAttribute("aria-pressed", String(state.whole));
    drawFront();
    drawSearch();
  });
  document.addEventListener("click", (event) => { // a link to a row of a closed table opens it
    const row = event.target.closest?.("a.number") && document.querySelector(event.target.getAttribute("href"));
    row?.closest("details")?.setAttribute("open", "");
  });

  // -- paper: light, narrow, all tables open ----------------------------------------------------------------------------
  let before = null;
  addEventListener("beforeprint", () => {
    before = { theme: root.dataset.theme, open: [...document.querySelectorAll("details:not([open])")] };
    root.dataset.theme = "light";
    document.body.classList.add("printing");
    for (const details of before.open) details.open = true;
    drawAll();
  });
  addEventListener("afterprint", () => {
    if (before.theme) root.dataset.theme = before.theme; else delete root.dataset.theme;
    document.body.classList.remove("printing");
    for (const details of before.open) details.open = false;
    drawAll();
  });

  drawFront(); // the first picture at once, those further down when the page is on the screen
  const front = at("front-chart");
  front.on("plotly_selected", (event) => listChosen([...new Set((event?.points ?? []).map((p) => p.customdata).filter((n) => byNumber.has(n)))]));
  front.on("plotly_deselect", () => listChosen([]));
  nameTheme();
  const waiting = [drawProxy, drawSearch, drawFinalist];
  setTimeout(function next() { // one after the other: the page answers in between
    const drawNext = waiting.shift();
    if (!drawNext) return void (root.dataset.ready = "true");
    drawNext();
    setTimeout(next);
  });
})();
