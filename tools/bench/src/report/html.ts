// The report as one HTML page that needs nothing else. Pure.

import { countsAtAll, type BenchResult } from '../result.ts';
import { escapeHtml, renderBars, type Bar } from './charts.ts';
import { formatCount, formatFailures, formatMegabytes, formatMs, formatRatio } from './format.ts';
import { SIDES } from './notes.ts';
import { judge } from './requirements.ts';
import { summarize, type Summary } from './summary.ts';
import { describeVerdict } from './terminal.ts';

const STYLE = `
  :root { color-scheme: light dark; --line: #8884; }
  body { font: 14px/1.45 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; } th, td { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid var(--line); }
  td.number { text-align: right; font-variant-numeric: tabular-nums; } .missed { color: #c33; font-weight: 600; } .aim { color: #2a8a3a; font-weight: 600; }
  svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; } .whisker { stroke: currentColor; stroke-width: 1.5; }
  .legend span { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; } .warning { background: #c332; padding: .5rem 1rem; }`;

export function renderHtml(result: BenchResult): string {
  const summaries = summarize(result);
  const { machine, commit, command, startedAt, seconds, profile } = result;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Strife benchmark ${escapeHtml(commit)}</title><style>${STYLE}</style></head><body>
<h1>Strife benchmark</h1>
<p>${escapeHtml(`${profile}, commit ${commit}, ${startedAt}, ${seconds.toFixed(0)} s; ${machine.cpus} x ${machine.cpuModel}, ${formatCount(machine.memoryBytes / 1e9)} GB, ${machine.system}, Node ${machine.node}`)}<br><code>${escapeHtml(command)}</code></p>
${countsAtAll(result) ? '' : '<p class="warning">This run does not count: not all books are right.</p>'}
<h2>Musts and aims</h2>${verdicts(result)}
<h2>Payments a second</h2><p>Medians over the rounds, with minimum and maximum; logarithmic.</p>${throughput(summaries.filter(({ unit }) => unit === 'payments'))}
<h2>Other calls a second</h2>${throughput(summaries.filter(({ unit }) => unit !== 'payments'))}
<h2>p99 of a payment, ms</h2><p>In a batch every payment waits for its whole call. Logarithmic.</p>${latencies(summaries)}
<h2>CPU for one payment, us</h2>${processorTime(summaries)}
<h2>Peak resident memory, MB</h2><p>Processes added up; of several database processes shared pages count in each.</p>${memory(summaries)}
<h2>All figures</h2>${figures(summaries)}
<h2>Who does what</h2>${table(['', 'does', 'does not'], SIDES.map(({ side, does, doesNot }) => [side, does, doesNot].map(cell)))}
<h2>Audits</h2>${audits(result)}
</body></html>
`;
}

function verdicts(result: BenchResult): string {
  return table(['requirement', 'median', 'min - max', 'must', 'aim', ''], judge(result).map(({ name, unit, atMost, must, aim, value, verdict }) => [
    cell(name), number(value === undefined ? '-' : `${formatCount(value.median)} ${unit}`), number(value === undefined ? '-' : `${formatCount(value.min)} - ${formatCount(value.max)}`),
    number(`${atMost ? '≤' : '≥'} ${must}`), number(`${atMost ? '≤' : '≥'} ${aim}`), `<td class="${verdict}">${describeVerdict(verdict)}</td>`,
  ]));
}

function throughput(summaries: readonly Summary[]): string {
  const bars = summaries.flatMap(({ key, perSecond, overPeer }): Bar[] => (perSecond === undefined ? [] : [{
    label: key, parts: [{ name: 'a second', value: perSecond.median }], range: perSecond,
    text: `${formatCount(perSecond.median)}${overPeer === undefined ? '' : `  (${formatRatio(overPeer.median)} peer)`}`,
  }]));
  return renderBars(bars, { kind: 'logarithmic', from: 10 });
}

function latencies(summaries: readonly Summary[]): string {
  const bars = summaries.flatMap(({ key, p99Ms, p50Ms }): Bar[] => (p99Ms === undefined || p50Ms === undefined ? [] : [{
    label: key, parts: [{ name: 'p99', value: p99Ms.median }], range: p99Ms, text: `${formatMs(p99Ms.median)}  (p50 ${formatMs(p50Ms.median)})`,
  }]));
  return renderBars(bars, { kind: 'logarithmic', from: 0.05 });
}

function processorTime(summaries: readonly Summary[]): string {
  return usageBars(summaries.filter(({ unit, key }) => unit === 'payments' && !key.startsWith('f.')), ({ cpuMicrosPerItem }) => cpuMicrosPerItem, (sum) => formatCount(sum));
}

function memory(summaries: readonly Summary[]): string {
  return usageBars(summaries, ({ peakRssBytes }) => peakRssBytes, (sum) => formatMegabytes(sum));
}

function usageBars(summaries: readonly Summary[], figure: (usage: Summary['processes'][string]) => number | undefined, text: (sum: number) => string): string {
  const bars = summaries.flatMap(({ key, processes }): Bar[] => {
    const parts = Object.entries(processes).flatMap(([name, usage]) => {
      const value = figure(usage);
      return value === undefined ? [] : [{ name, value }];
    });
    return parts.length === 0 ? [] : [{ label: key, parts, text: text(parts.reduce((sum, { value }) => sum + value, 0)) }];
  });
  return renderBars(bars, { kind: 'linear' });
}

function figures(summaries: readonly Summary[]): string {
  return table(['probe', '', 'a second', 'min - max', 'p50 ms', 'p99 ms', 'p99.9 ms', 'x peer', 'x floor', 'failures'], summaries.map((summary) => [
    cell(summary.key), cell(summary.title),
    ...[
      summary.perSecond === undefined ? '-' : `${formatCount(summary.perSecond.median)} ${summary.unit}`,
      summary.perSecond === undefined ? '-' : `${formatCount(summary.perSecond.min)} - ${formatCount(summary.perSecond.max)}`,
      formatMs(summary.p50Ms?.median), formatMs(summary.p99Ms?.median), formatMs(summary.p999Ms?.median),
      formatRatio(summary.overPeer?.median), formatRatio(summary.overFloor?.median),
    ].map(number),
    cell(formatFailures(summary.failures)),
  ]));
}

function audits({ audits: stages, peer, notes }: BenchResult): string {
  const rows = stages.map(({ stage, clean, transfersChecked, problems, seconds }) => [
    cell(stage), cell(clean ? 'clean' : problems.join('; ')), number(formatCount(transfersChecked)), number(`${seconds.toFixed(1)} s`),
  ]);
  const peerText = peer.kind === 'missing' ? `No PostgreSQL peer: ${peer.why}` : `PostgreSQL ${peer.version}: ${peer.fault ?? 'its books add up'}`;
  return `${table(['books', 'audit', 'payments', 'took'], rows)}<p>${escapeHtml(peerText)}</p>${notes.map((note) => `<p>${escapeHtml(note)}</p>`).join('')}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return `<table><tr>${head.map((text) => `<th>${escapeHtml(text)}</th>`).join('')}</tr>${rows.map((cells) => `<tr>${cells.join('')}</tr>`).join('')}</table>`;
}

function cell(text: string): string {
  return `<td>${escapeHtml(text)}</td>`;
}

function number(text: string): string {
  return `<td class="number">${escapeHtml(text)}</td>`;
}
