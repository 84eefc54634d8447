// A plot over time, of what the page gives: {times: [s], lines: {name: [number]}}, in `data-plot` of #plot itself,
// or of the element that its `data-of` names, which a part that follows the log may draw anew.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("plot");
  const given = () => (place.dataset.of ? document.getElementById(place.dataset.of) : place)?.dataset.plot;
  const columns = ({ times, lines }) => [times, ...Object.values(lines)];
  let drawn = given();
  const { lines } = JSON.parse(drawn);
  const hues = [210, 130, 35, 300];
  const ink = () => getComputedStyle(place).color;
  const axis = { stroke: ink, grid: { stroke: "rgb(128 128 128 / .3)" }, ticks: { stroke: ink } };
  const size = () => ({ width: place.clientWidth, height: 260 });
  const plot = new uPlot({
    ...size(), axes: [axis, axis],
    series: [{ label: place.dataset.step || "day" }, ...Object.keys(lines).map((name, n) => ({
      label: name.replaceAll("_", " "), stroke: `hsl(${hues[n % hues.length]} 70% 45%)`, width: 2,
      dash: n ? [2 + 4 * n, 4] : [], paths: uPlot.paths.stepped({ align: 1 }) }))],
  }, columns(JSON.parse(drawn)), place);
  addEventListener("resize", () => plot.setSize(size()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw(false, true));
  document.addEventListener("htmx:afterSwap", () => {
    const now = given();
    if (now && now !== drawn) { drawn = now; plot.setData(columns(JSON.parse(now))); }
  });
});
