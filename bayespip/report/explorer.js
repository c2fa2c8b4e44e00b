"use strict";

// The explorer of tau. Every number shown is one of the exact engine, held in the page; the slider stops at its scales.
(() => {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const numbers = (text) => new Float32Array(bytes(text).buffer);
  const ROW = 26, SMALL = 18, CURVE = 90, WHOLE = 65535, AXIS = 34, HEIGHT = 240;

  // As bayespip.wording writes numbers: one that is not the null never reads as the null.
  function write(x, none = 0) {
    if (Number.isNaN(x)) return "undefined";
    if (x === 0) return "0";
    if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
    const size = Math.abs(x);
    if (size >= 1e6 || size < 1e-9 || (none === 1 && !(size >= 1e-3 && size < 1e4))) {
      return x.toExponential(1).replace("e+", "e");
    }
    let decimals = size >= 100 ? 0 : size >= 10 ? 1 : 2;
    if (none === 1 && size < 0.1) decimals = 1 - Math.floor(Math.log10(size));
    let text = x.toFixed(decimals);
    while (Number(text) === none && x !== none && decimals < 9) text = x.toFixed(++decimals);
    return text;
  }
  function writeProbability(p) {
    if (Number.isNaN(p)) return "undefined";
    if (p >= 0.9995) return p === 1 ? "1" : ">0.999";
    if (p < 0.0005) return p === 0 ? "0" : "<0.001";
    return p.toFixed(3);
  }

  const short = (scale) => String(Number(scale.toPrecision(3)));

  const SCALES = {
    log: { display: Math.exp, none: 1, axis: () => d3.scaleLog() },
    "fisher z": { display: Math.tanh, none: 0, axis: () => d3.scaleLinear() },
    identity: { display: (x) => x, none: 0, axis: () => d3.scaleLinear() },
  };

  class Explorer {
    constructor(root) {
      this.root = root;
      const data = JSON.parse(root.querySelector("script.data").textContent);
      this.data = data;
      for (const name of ["yi", "sei", "values", "range", "tau_at", "mu_at", "prior_peaks", "posterior_peaks"]) {
        data[name] = numbers(data[name]);
      }
      for (const name of ["prior", "posterior", "average"]) data[name] = new Uint16Array(bytes(data[name]).buffer);
      this.scale = SCALES[data.scale];
      const last = data.families.at(-1);
      this.taus = last.first + last.calls.length;
      this.slider = root.querySelector("input[type=range]");
      root.querySelector("form").addEventListener("input", () => this.draw());
      root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
      root.querySelector(".reset").addEventListener("click", () => { this.reset(); this.draw(); });
      new ResizeObserver(([entry]) => {
        const width = Math.round(entry.contentRect.width);
        if (width && width !== this.width) { this.width = width; this.draw(); }
      }).observe(root);
      this.reset();
      this.draw();
    }

    reset() {
      const [mu, tau] = this.data.start;
      const place = this.data.families.findLastIndex((family) => family.first <= tau);
      this.radio("mu", mu).checked = true;
      this.radio("family", place).checked = true;
      const family = this.data.families[place];
      this.slider.value = family.scales.length ? tau - family.first : Math.floor(this.slider.max / 2);
    }

    radio(name, value) { return this.root.querySelector(`input[name$="-${name}"][value="${value}"]`); }
    chosen(name) { return Number(this.root.querySelector(`input[name$="-${name}"]:checked`).value); }

    // What the engine says under the priors chosen.
    state() {
      const data = this.data;
      const family = data.families[this.chosen("family")];
      const step = family.scales.length ? Number(this.slider.value) : 0;
      const [mu, tau] = [this.chosen("mu"), family.first + step];
      const pair = mu * this.taus + tau;
      const width = 10 + 3 * data.k;
      const row = data.values.subarray(pair * width, (pair + 1) * width);
      const three = (i) => [row[i], row[i + 1], row[i + 2]];
      const [least, most] = data.range.length ? data.range.subarray(2 * pair, 2 * pair + 2) : [NaN, NaN];
      return {
        family, step, pair, tauPlace: tau, mu: three(0), tau: three(3), next: three(6), above: row[9], least, most,
        studies: data.studies.map((name, i) => ({ name, theta: three(10 + 3 * i) })),
        muPrior: data.mus[mu], tauPrior: family.scales.length ? `${family.name}(${short(family.scales[step])})` : family.name,
        tauCall: family.calls[step], scale: family.scales[step],
        reason: data.reasons[pair] ?? "",
      };
    }

    draw() {
      const now = this.state();
      const scaled = now.family.scales.length > 0;
      this.slider.disabled = !scaled;
      const text = scaled ? short(now.scale) : "fixed";
      this.root.querySelector(".scale output").value = text;
      this.root.querySelector(".scale-of").textContent =
        now.family.name === "uniform" ? `its upper limit, ${this.data.model_scale}` : this.data.model_scale;
      this.slider.setAttribute("aria-valuetext", `${now.family.name}, scale ${text}`);
      this.root.querySelector(".says").textContent = this.sentence(now);
      this.tabulate(now);
      const call = `bp.exact_fit(${this.data.call}, bp.Priors(${now.muPrior.call}, ${now.tauCall}))`;
      this.root.querySelector("code.call").textContent = call;
      if (this.width) {
        drawForest(this, now);
        drawTau(this, now);
      }
    }

    shown(x) { return this.scale.display(x); }
    write(x) { return write(this.shown(x), this.scale.none); }
    estimate([point, lower, upper]) {
      return `${this.write(point)} (${this.write(lower)} to ${this.write(upper)})`;
    }

    sentence(now) {
      const { data } = this;
      const priors = `Under ${now.tauPrior} on τ and ${now.muPrior.name} on μ`;
      if (now.reason) return `${priors} there is no result: ${now.reason}`;
      const percent = Number((100 * data.level).toPrecision(12));
      const of = data.data ? "" : ", for the possible studies shown";
      const [tau, low, high] = now.tau.map((x) => write(x));
      const sentences = [
        `${priors}${of}: ${data.measure} ${this.estimate(now.mu)}, ${percent}% interval`,
        `τ ${tau} (${low} to ${high})`,
        `a new study's effect ${this.estimate(now.next)}`,
        `P(${this.side()}) = ${writeProbability(this.side(now.above))}${this.spread(now)}`,
      ];
      return `${sentences.join("; ")}. ${this.verdict(now)}`;
    }

    // P of the favourable side, or of mu above no effect where no side is favourable; without a number, its name.
    side(above) {
      const below = this.data.favours === "lower";
      if (above === undefined) {
        const name = `μ ${below ? "below" : "above"} ${this.scale.none}`;
        return this.data.favours ? `${name}, the favourable side` : name;
      }
      return below ? 1 - above : above;
    }

    spread(now) {
      if (Number.isNaN(now.least)) return "";
      const [low, high] = [this.side(now.least), this.side(now.most)].sort((a, b) => a - b).map(writeProbability);
      return ` (over the possible studies ${low === high ? low : `${low} to ${high}`})`;
    }

    verdict(now) {
      const [, lower, upper] = now.mu;
      const excludes = lower > 0 || upper < 0;
      const said = [`The interval ${excludes ? "excludes" : "includes"} no effect (${this.scale.none}).`];
      if (this.data.claim) {
        const above = this.data.claim === "above";
        const holds = above ? lower > 0 : upper < 0;
        said.push(this.data.data
          ? `The published claim of an effect ${holds ? "holds" : "does not hold"}.`
          : `The published claim of an effect ${holds ? "holds" : "does not hold"} here${this.inMembers(now, above)}.`);
      }
      return said.join(" ");
    }

    inMembers(now, above) {
      if (Number.isNaN(now.least)) return "";
      const enough = (1 + this.data.level) / 2;
      const [worst, best] = above ? [now.least, now.most] : [1 - now.most, 1 - now.least];
      return `, and ${worst > enough ? "in all" : best > enough ? "in some" : "in none"} of the possible sets of studies`;
    }

    tabulate(now) {
      const rows = [["μ, the average effect", now.mu.map((x) => this.write(x))], ["τ", now.tau.map((x) => write(x))]];
      rows.push(["the effect of a new study", now.next.map((x) => this.write(x))]);
      for (const { name, theta } of now.studies) rows.push([name, theta.map((x) => this.write(x))]);
      d3.select(this.root).select("tbody").selectAll("tr").data(rows).join("tr")
        .selectAll("th, td").data(([name, values]) => [name, ...values])
        .join((enter) => enter.append((_, i) => document.createElement(i ? "td" : "th")))
        .attr("scope", (_, i) => (i ? null : "row")).attr("class", (_, i) => (i ? "number" : null)).attr("dir", "auto")
        .text((text) => text);
    }
  }

  function rowsOf(explorer, now) {
    const { data } = explorer;
    const z = data.z;
    const studies = now.studies.map(({ name, theta }, i) => ({
      name: data.data ? name : `Possible study ${i + 1}`, kind: "pooled", values: theta, soft: !data.data,
      observed: [data.yi[i], data.yi[i] - z * data.sei[i], data.yi[i] + z * data.sei[i]],
    }));
    const published = data.published ? [{ name: "Published", kind: "observed", values: data.published }] : [];
    return [...studies, ...published, { name: "μ, pooled here", kind: "pooled", values: now.mu, diamond: true },
      { name: "New study", kind: "new", values: now.next }];
  }

  function svgOf(explorer, name, height, label) {
    const node = explorer.root.querySelector(`svg.${name}`);
    const width = Math.round(node.parentElement.getBoundingClientRect().width);
    const svg = d3.select(node).attr("viewBox", `0 0 ${width} ${height}`).attr("height", height).attr("aria-label", label);
    svg.selectAll("*").remove();
    return [svg, width];
  }

  function drawForest(explorer, now) {
    const { data } = explorer;
    const rows = rowsOf(explorer, now);
    const step = rows.length > 12 ? SMALL : ROW;
    const top = rows.length * step + 8;
    const base = top + CURVE;
    const [svg, width] = svgOf(explorer, "forest", base + AXIS, explorer.sentence(now));
    const names = Math.min(150, Math.round(width * 0.36));
    const ends = [data.mu_at[0], data.mu_at.at(-1)].map((x) => explorer.shown(x));
    const across = explorer.scale.axis().domain(ends).range([names + 8, width - 8]);
    const x = (model) => across(explorer.shown(model));
    for (const [i, row] of rows.entries()) drawRow(svg, row, (i + 0.5) * step + 4, x, across.range(), names);
    drawAverage(svg, explorer, now, x, base);
    svg.append("line").attr("class", "null").attr("x1", x(0)).attr("x2", x(0)).attr("y1", 0).attr("y2", base);
    axis(svg, across, base, data.scale === "log");
    svg.append("text").attr("x", (names + width) / 2).attr("y", base + 32).attr("text-anchor", "middle").text(data.measure_label);
  }

  function drawRow(svg, row, y, x, [left, right], names) {
    const label = svg.append("text").attr("class", row.soft ? "name soft" : "name").attr("x", 0).attr("y", y + 4).text(row.name);
    shorten(label, row.name, names);
    if (row.observed) interval(svg, row.observed, y - 4, x, [left, right], "observed", 2.5);
    interval(svg, row.values, row.observed ? y + 4 : y, x, [left, right], row.kind, row.diamond ? 5 : 3.5, row.diamond);
  }

  function shorten(label, name, room) {
    const letters = [...name];
    for (let n = letters.length; n > 1 && label.node().getComputedTextLength() > room; ) {
      n = Math.min(n - 1, Math.ceil((n * room) / label.node().getComputedTextLength()));
      label.text(`${letters.slice(0, n).join("")}…`);
    }
    label.append("title").text(name);
  }

  function interval(svg, [point, lower, upper], y, x, [left, right], kind, size, diamond = false) {
    if (Number.isNaN(lower) || Number.isNaN(upper)) return;
    const within = (value) => Math.min(right, Math.max(left, x(value)));
    svg.append("line").attr("class", `bar ${kind}`).attr("x1", within(lower)).attr("x2", within(upper)).attr("y1", y).attr("y2", y);
    const arrow = (at, way) => svg.append("path").attr("class", kind)
      .attr("d", `M${at},${y}l${-6 * way},-4v8z`);
    if (x(lower) < left) arrow(left, -1);
    if (x(upper) > right) arrow(right, 1);
    if (x(point) < left || x(point) > right) return;
    const symbol = d3.symbol(diamond ? d3.symbolDiamond : d3.symbolCircle, size * size * (diamond ? 4 : Math.PI));
    svg.append("path").attr("class", kind).attr("transform", `translate(${x(point)},${y})`).attr("d", symbol());
  }

  function drawAverage(svg, explorer, now, x, base) {
    const { data } = explorer;
    const n = data.mu_at.length;
    const share = data.average.subarray(now.pair * n, (now.pair + 1) * n);
    const points = [...share].map((s, i) => [data.mu_at[i], s]);
    const y = (s) => base - (s / WHOLE) * (CURVE - 14);
    const favoured = points.filter(([mu]) => (data.favours === "lower" ? mu <= 0 : mu >= 0));
    const shape = (area) => area.x(([mu]) => x(mu)).curve(d3.curveMonotoneX);
    if (now.reason) return;
    svg.append("path").attr("class", "area").attr("d", shape(d3.area()).y0(base).y1(([, s]) => y(s))(favoured));
    svg.append("path").attr("class", "curve").attr("d", shape(d3.line()).y(([, s]) => y(s))(points));
  }

  function drawTau(explorer, now) {
    const { data } = explorer;
    const label = `Posterior of τ over its prior ${now.tauPrior}: median ${write(now.tau[0])}, interval ${write(now.tau[1])} to ${write(now.tau[2])}.`;
    const [svg, width] = svgOf(explorer, "heterogeneity", HEIGHT, label);
    const base = HEIGHT - AXIS;
    const x = d3.scaleLinear([0, data.tau_at.at(-1)], [8, width - 8]);
    const n = data.tau_at.length;
    const prior = data.prior_peaks[now.tauPlace];
    const posterior = data.posterior_peaks[now.pair];
    const y = d3.scaleLinear([0, Math.max(...[prior, posterior].filter(Number.isFinite))], [base - 22, 10]);
    const points = (curve, place, peak) => [...curve.subarray(place * n, (place + 1) * n)].map((s, i) => [data.tau_at[i], (s / WHOLE) * peak]);
    const line = d3.line(([tau]) => x(tau), ([, density]) => y(density)).curve(d3.curveMonotoneX);
    if (Number.isFinite(prior)) {
      svg.append("path").attr("class", "curve prior").attr("d", line(points(data.prior, now.tauPlace, prior)));
    }
    if (!now.reason) {
      const drawn = points(data.posterior, now.pair, posterior);
      const area = d3.area(([tau]) => x(tau), () => y(0), ([, density]) => y(density)).curve(d3.curveMonotoneX);
      svg.append("path").attr("class", "area").attr("d", area(drawn));
      svg.append("path").attr("class", "curve").attr("d", line(drawn));
      interval(svg, now.tau, base - 9, x, [8, width - 8], "pooled", 3.5);
    }
    axis(svg, x, base, false);
    svg.append("text").attr("x", width / 2).attr("y", base + 32).attr("text-anchor", "middle").text(`τ (${data.model_scale})`);
  }

  // Plain numbers; on a log axis 1, 2 and 5 of each decade, fewer where there is no room.
  function axis(svg, scale, y, log) {
    const [left, right] = scale.range();
    const room = Math.max(2, Math.floor((right - left) / 48));
    const [low, high] = scale.domain();
    let ticks = log ? [] : scale.ticks(room);
    if (log) {
      for (const digits of [[1, 2, 5], [1, 3], [1]]) {
        ticks = decades(low, high).flatMap((d) => digits.map((m) => m * 10 ** d)).filter((t) => t >= low && t <= high);
        if (ticks.length <= room) break;
      }
      if (ticks.length < 2) ticks = d3.ticks(low, high, Math.min(room, 4));
      const every = Math.ceil(ticks.length / room);
      ticks = ticks.filter((t, i) => (i - ticks.indexOf(1)) % every === 0);
    }
    const plain = (t) => (t >= 1e5 || (t > 0 && t < 1e-3) ? t.toExponential(0).replace("e+", "e") : String(Number(t.toPrecision(6))));
    svg.append("g").attr("class", "axis").attr("transform", `translate(0,${y})`)
      .call(d3.axisBottom(scale).tickValues(ticks).tickFormat(plain).tickSizeOuter(0));
  }
  const decades = (low, high) => d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);

  function start(within) {
    for (const root of within.querySelectorAll(".explorer:not([data-started])")) {
      root.dataset.started = "";
      new Explorer(root);
    }
  }
  document.addEventListener("DOMContentLoaded", () => start(document));
  document.addEventListener("unpacked", (event) => start(event.target));
  globalThis.bayespipExplorer = { write, writeProbability };
})();
