// Draws the charts of a page from the numbers beside them, in the colours of the theme.
import { BarController, BarElement, CategoryScale, Chart, LinearScale, LineController, LineElement, PointElement, Tooltip } from "chart.js";
import { words } from "./words.js";

Chart.register(BarController, BarElement, CategoryScale, LinearScale, LineController, LineElement, PointElement, Tooltip);

const locale = navigator.language;
const [day, time] = [{ day: "numeric", month: "short" }, { hour: "2-digit", minute: "2-digit" }];
const labels = {
  hour: { axis: time, title: { weekday: "short", ...day, ...time } },
  day: { axis: day, title: { weekday: "long", day: "numeric", month: "long" } },
  moment: { axis: day, title: { weekday: "short", ...day, ...time } },
};

const formats = {
  count: (value) => value.toLocaleString("en"),
  seconds: words,
  valence: (value) => (value === 1 ? "positive" : value === -1 ? "negative" : value === 0 ? "neutral" : value.toFixed(2)),
};
const ranges = { count: { beginAtZero: true }, seconds: { beginAtZero: true }, valence: { min: -1, max: 1 } };
const steps = [30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800];

// A canvas knows no light-dark(): the browser works each colour out on an element that uses it.
function colours() {
  const probe = document.createElement("i");
  document.body.append(probe);
  const read = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const names = { negative: "--bad", positive: "--good", neutral: "--chart-neutral", abstained: "--line", accent: "--accent", faint: "--chart-neutral", line: "--line", text: "--text-3", raised: "--tooltip", ink: "--on-tooltip" };
  const found = Object.fromEntries(Object.entries(names).map(([tone, name]) => [tone, read(name)]));
  probe.remove();
  return found;
}

function dataset(kind, { name, tone, values }, colour) {
  const common = { label: name, data: values, backgroundColor: colour[tone], borderColor: colour[tone] };
  return kind === "bars"
    ? { ...common, stack: "all", borderRadius: 2, borderWidth: 0, maxBarThickness: 28, categoryPercentage: 0.9, barPercentage: 0.9 }
    : { ...common, borderWidth: 2, cubicInterpolationMode: "monotone", pointRadius: values.length > 40 ? 0 : 2.5, pointHoverRadius: 5, spanGaps: true, clip: 8 };
}

function draw(canvas) {
  const { kind, unit, zone, format, moments, series } = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
  const colour = colours();
  // Hours and days may be those of another zone than the reader's.
  const label = (part) => new Intl.DateTimeFormat(locale, { ...labels[unit][part], timeZone: zone || undefined });
  const [axis, title] = [label("axis"), label("title")];
  const dates = moments.map((moment) => new Date(moment));
  const font = { family: getComputedStyle(document.body).fontFamily, size: 11 };
  const highest = Math.max(1, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
  return new Chart(canvas, {
    type: kind === "bars" ? "bar" : "line",
    data: { labels: dates.map((date) => axis.format(date)), datasets: series.map((line) => dataset(kind, line, colour)) },
    options: {
      maintainAspectRatio: false,
      animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? false : { duration: 300 },
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { stacked: kind === "bars", grid: { display: false }, border: { color: colour.line }, ticks: { color: colour.text, font, maxRotation: 0, autoSkipPadding: 18 } },
        y: { ...ranges[format], stacked: kind === "bars", border: { display: false }, grid: { color: colour.line }, ticks: { color: colour.text, font, maxTicksLimit: 5, precision: format === "count" ? 0 : undefined, stepSize: format === "valence" ? 1 : format === "seconds" ? steps.find((step) => highest / step <= 5) : undefined, callback: formats[format] } },
      },
      plugins: {
        tooltip: {
          backgroundColor: colour.raised, titleColor: colour.ink, bodyColor: colour.ink, padding: 10, cornerRadius: 8, boxPadding: 4, usePointStyle: true, titleFont: { ...font, size: 12 }, bodyFont: { ...font, size: 12 },
          callbacks: {
            title: ([item]) => title.format(dates[item.dataIndex]),
            label: ({ dataset, raw }) => ` ${dataset.label}: ${raw === null ? "–" : formats[format](raw)}`,
            afterBody: ([item]) => series[item.datasetIndex].notes?.[item.dataIndex] ?? "",
          },
        },
      },
    },
  });
}

let charts = [];
function drawAll() {
  charts.forEach((chart) => chart.destroy());
  charts = [...document.querySelectorAll("canvas[data-chart]")].map(draw);
}

drawAll();
document.addEventListener("themechange", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
