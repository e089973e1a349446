import * as echarts from 'echarts';
import type { ReportModel, TrafficPoint } from '../model/model.ts';
import { escapeText, raw, type Html } from './html.ts';

/**
 * Placeholder colours. ECharts draws the charts as SVG without a browser and accepts fixed colours only. Each
 * placeholder is replaced by a CSS variable of the page, so that one drawing works in light mode, in dark mode and on
 * paper.
 */
const ink = {
  '--ink': '#010101',
  '--soft': '#010102',
  '--grid': '#010103',
  '--blue': '#010104',
  '--green': '#010105',
  '--bad': '#010106',
};
type Ink = keyof typeof ink;

export interface Line {
  name: string;
  ink: Ink;
  dash: 'solid' | 'dashed' | 'dotted';
  /** Time in ms since the epoch, and the value; null breaks the line. */
  points: [number, number | null][];
}

export interface Chart {
  id: string;
  /** Text for screen readers. */
  description: string;
  unit: string;
  lines: Line[];
  marks: { at: number; label: string }[];
}

/** The same chart for a wide and a narrow screen; the style sheet shows one of them. */
export function renderChart(chart: Chart): Html {
  return raw(
    `<div class="wide">${draw(chart, 960, 270, 'w')}</div><div class="narrow">${draw(chart, 360, 250, 'n')}</div>`,
  );
}

function draw(chart: Chart, width: number, height: number, variant: string): string {
  const wide = width > 600;
  const surface = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  const text = { color: ink['--soft'], fontFamily: 'system-ui, sans-serif', fontSize: 12 };
  surface.setOption({
    animation: false,
    useUTC: true,
    grid: { left: 52, right: 14, top: 48, bottom: 26 },
    legend: {
      left: 0,
      top: 0,
      textStyle: { ...text, color: ink['--ink'] },
      itemWidth: 26,
      itemStyle: { opacity: 0 },
      inactiveColor: ink['--soft'],
      lineStyle: { width: 2 },
    },
    xAxis: {
      type: 'time',
      splitNumber: wide ? 8 : 3,
      axisLabel: { ...text, hideOverlap: true, formatter: '{HH}:{mm}:{ss}' },
      axisLine: { lineStyle: { color: ink['--soft'] } },
      axisTick: { lineStyle: { color: ink['--soft'] } },
    },
    yAxis: {
      type: 'value',
      min: 0,
      splitNumber: 4,
      axisLabel: {
        ...text,
        formatter: (value: number) => `${value.toLocaleString('en-US')}${value === 0 ? '' : ` ${chart.unit}`}`,
      },
      splitLine: { lineStyle: { color: ink['--grid'] } },
    },
    series: chart.lines.map((line, i) => ({
      name: line.name,
      type: 'line',
      data: line.points,
      symbol: 'none',
      connectNulls: false,
      lineStyle: { color: ink[line.ink], width: 2, type: line.dash },
      itemStyle: { color: ink[line.ink] },
      ...(i === 0 && {
        markLine: {
          symbol: 'none',
          silent: true,
          lineStyle: { color: ink['--soft'], width: 1, type: 'dotted' },
          label: { ...text, fontSize: 11, formatter: '{b}', textBorderWidth: 0, distance: 2 },
          data: chart.marks.map((mark) => ({ name: mark.label, xAxis: mark.at })),
        },
      }),
    })),
  });
  const svg = surface.renderToSVGString();
  surface.dispose();
  return themed(svg, chart, variant);
}

function themed(svg: string, chart: Chart, variant: string): string {
  const id = `${chart.id}-${variant}`;
  let text = svg
    .replace(
      /<svg [^>]*?(viewBox="[^"]*")[^>]*>/,
      `<svg $1 xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="${id}">\n<title id="${id}">${escapeText(chart.description)}</title>`,
    )
    // Mouse styles are not needed, and their names contain a counter, so that two renderings would differ.
    .replace(/<style[^]*?<\/style>/g, '')
    .replace(/ class="zr[^"]*"/g, '')
    .replace(/\bzr\d+-/g, `${id}-`)
    .replace(/ (?:ecmeta|pointer-events)[a-z_-]*="[^"]*"/g, '');
  for (const [name, code] of Object.entries(ink)) text = text.replaceAll(code, `var(${name})`);
  return text;
}

/** Points of a line. It is interrupted where nothing was observed for longer than two windows. */
function over(
  points: readonly TrafficPoint[],
  value: (point: TrafficPoint) => number | null,
): [number, number | null][] {
  return points.flatMap((point, i): [number, number | null][] => {
    const before = points[i - 1];
    const gap = before && point.from - before.to > 2 * (point.to - point.from);
    return [...(gap ? [[before.to, null] as [number, null]] : []), [(point.from + point.to) / 2, value(point)]];
  });
}

/** Requests per second by colour, and failures if there were any. */
export function trafficChart({ traffic, marks }: ReportModel): Chart {
  const failures = traffic.some((p) => p.colours.blue.errors + p.colours.green.errors > 0);
  return {
    id: 'chart-traffic',
    description: 'Requests per second of each colour over time; the numbers are in the table below.',
    unit: '/s',
    marks,
    lines: [
      { name: 'blue', ink: '--blue', dash: 'solid', points: over(traffic, (p) => p.colours.blue.perSecond) },
      { name: 'green', ink: '--green', dash: 'dashed', points: over(traffic, (p) => p.colours.green.perSecond) },
      ...(failures
        ? [
            {
              name: 'failed',
              ink: '--bad' as const,
              dash: 'dotted' as const,
              points: over(traffic, (p) => ((p.colours.blue.errors + p.colours.green.errors) * 1000) / (p.to - p.from)),
            },
          ]
        : []),
    ],
  };
}

export function latencyChart({ traffic, marks }: ReportModel, quantile: 'p50Ms' | 'p95Ms'): Chart {
  const name = quantile === 'p50Ms' ? 'p50' : 'p95';
  return {
    id: `chart-${name}`,
    description: `${name} of the response times of each colour over time; the numbers are in the table below.`,
    unit: 'ms',
    marks,
    lines: [
      { name: `blue ${name}`, ink: '--blue', dash: 'solid', points: over(traffic, (p) => p.colours.blue[quantile]) },
      {
        name: `green ${name}`,
        ink: '--green',
        dash: 'dashed',
        points: over(traffic, (p) => p.colours.green[quantile]),
      },
    ],
  };
}

export function lagChart({ data, marks }: ReportModel): Chart {
  const line = (direction: 'forward' | 'reverse'): [number, number][] =>
    data.sync.filter((s) => s.direction === direction).map((s) => [Date.parse(s.at), s.lagMs]);
  const lines: Line[] = [
    { name: 'to the new colour', ink: '--ink', dash: 'solid', points: line('forward') },
    { name: 'back to the old colour', ink: '--soft', dash: 'dashed', points: line('reverse') },
  ];
  return {
    id: 'chart-lag',
    description: 'Replication lag over time, in both directions; the highest values are in the text.',
    unit: 'ms',
    marks,
    lines: lines.filter((l) => l.points.length > 0),
  };
}
