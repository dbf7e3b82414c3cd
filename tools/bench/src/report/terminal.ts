// The report for a terminal.

import Table from 'cli-table3';
import type { Sample } from '../measure/sample.ts';
import { countsAtAll, type BenchResult } from '../result.ts';
import type { Probe } from '../scenarios/probe.ts';
import { formatCount, formatFailures, formatMegabytes, formatMs, formatRatio } from './format.ts';
import { judge, type Judged } from './requirements.ts';
import { summarize, type Summary } from './summary.ts';

/** One line of progress. */
export function progressLine(round: number, rounds: number, { title, key, unit }: Probe, sample: Sample): string {
  const failures = Object.keys(sample.failures).length === 0 ? '' : `  failures: ${formatFailures(sample.failures)}`;
  const p50 = sample.latencyMs === undefined ? `${sample.seconds.toFixed(1)} s` : `p50 ${formatMs(sample.latencyMs.p50)} ms`;
  return `round ${round + 1}/${rounds}  ${key.padEnd(20)} ${formatCount(sample.perSecond).padStart(8)} ${unit}/s  ${p50.padEnd(14)} ${title}${failures}`;
}

export function renderTerminal(result: BenchResult): string {
  const summaries = summarize(result);
  const { machine, peer, audits, notes, profile, commit } = result;
  const lines = [
    `Strife benchmark, ${profile}, commit ${commit}, ${machine.cpus} x ${machine.cpuModel}, Node ${machine.node}`,
    throughputTable(summaries),
    processTable(summaries),
    verdictTable(judge(result)),
    ...audits.map(({ stage, clean, transfersChecked, problems, seconds }) =>
      `audit of ${stage}: ${clean ? `clean, ${formatCount(transfersChecked)} payments` : `NOT CLEAN: ${problems.join('; ')}`} (${seconds.toFixed(1)} s)`),
    peer.kind === 'missing' ? `no PostgreSQL peer: ${peer.why}` : `PostgreSQL ${peer.version}: ${peer.fault === undefined ? 'its books add up' : `ITS BOOKS ARE WRONG: ${peer.fault}`}`,
    ...notes,
    countsAtAll(result) ? '' : 'THIS RUN DOES NOT COUNT: not all books are right.',
  ];
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}

const COMPACT = { style: { head: [], border: [] }, chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' } };

function throughputTable(summaries: readonly Summary[]): string {
  const table = new Table({ head: ['probe', 'a second', '(min - max)', 'p50 ms', 'p99 ms', 'p99.9 ms', 'x peer', 'x floor', 'failures'], ...COMPACT });
  for (const { key, unit, perSecond, p50Ms, p99Ms, p999Ms, overPeer, overFloor, failures, extra } of summaries) {
    const range = perSecond === undefined ? '-' : `${formatCount(perSecond.min)} - ${formatCount(perSecond.max)}`;
    const also = Object.entries(extra).map(([name, value]) => ` ${name} ${formatCount(value)}`).join('');
    table.push([
      key, perSecond === undefined ? '-' : `${formatCount(perSecond.median)} ${unit}${also}`, range, formatMs(p50Ms?.median), formatMs(p99Ms?.median), formatMs(p999Ms?.median),
      formatRatio(overPeer?.median), formatRatio(overFloor?.median), formatFailures(failures),
    ]);
  }
  return table.toString();
}

function processTable(summaries: readonly Summary[]): string {
  const table = new Table({ head: ['probe', 'CPU us an item, by process', 'peak RSS MB, by process'], ...COMPACT });
  for (const { key, processes } of summaries) {
    const entries = Object.entries(processes);
    table.push([
      key,
      entries.map(([name, { cpuMicrosPerItem }]) => `${name} ${cpuMicrosPerItem === undefined ? '-' : formatCount(cpuMicrosPerItem)}`).join(', '),
      entries.map(([name, { peakRssBytes }]) => `${name} ${formatMegabytes(peakRssBytes)}`).join(', '),
    ]);
  }
  return table.toString();
}

function verdictTable(judged: readonly Judged[]): string {
  const table = new Table({ head: ['requirement', 'median', '(min - max)', 'must', 'aim', ''], ...COMPACT });
  for (const { name, unit, atMost, must, aim, value, verdict } of judged) {
    const bound = atMost ? '<=' : '>=';
    table.push([
      name, value === undefined ? '-' : `${formatCount(value.median)} ${unit}`, value === undefined ? '-' : `${formatCount(value.min)} - ${formatCount(value.max)}`,
      `${bound} ${must}`, `${bound} ${aim}`, describeVerdict(verdict),
    ]);
  }
  return table.toString();
}

export function describeVerdict(verdict: Judged['verdict']): string {
  return { aim: 'reaches the aim', must: 'holds', missed: 'MISSED', 'not measured': 'not measured' }[verdict];
}
