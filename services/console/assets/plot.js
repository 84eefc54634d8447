// A plot of units over time, of what the page gives: {times: [s], lines: {name: [units]}}.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("plot");
  const { times, lines } = JSON.parse(place.dataset.plot);
  const names = Object.keys(lines);
  const hues = [210, 130, 35, 300];
  const ink = getComputedStyle(place).color;
  const axis = { stroke: ink, grid: { stroke: "rgb(128 128 128 / .3)" }, ticks: { stroke: ink } };
  const plot = new uPlot({
    width: place.clientWidth, height: 260, axes: [axis, axis],
    series: [{ label: "day" }, ...names.map((name, n) => ({
      label: name.replaceAll("_", " "), stroke: `hsl(${hues[n % hues.length]} 70% 45%)`, width: 2,
      dash: n ? [2 + 4 * n, 4] : [], paths: uPlot.paths.stepped({ align: 1 }) }))],
  }, [times, ...names.map((name) => lines[name])], place);
  addEventListener("resize", () => plot.setSize({ width: place.clientWidth, height: 260 }));
});
