// The table for the README, from the last result. Pure.

import { countsAtAll, type BenchResult } from '../result.ts';
import { formatCount, formatMs, formatRatio } from './format.ts';
import { summarize, type Summary } from './summary.ts';

const ROWS: readonly { readonly key: string; readonly name: string }[] = [
  { key: 'a.1000', name: 'single payments, coalesced by the SDK, 1,000 callers' },
  { key: 'a.4000', name: 'the same, 4,000 callers' },
  { key: 'b', name: 'batches of 1,000' },
  { key: 'b.sdk', name: 'the same, from the SDK' },
  { key: 'd', name: 'batches of 1,000 inside one bank' },
  { key: 'c.lean.64', name: 'one RPC a payment, 64 at once' },
  { key: 'c.lean.1.decided', name: 'one RPC a payment, one at a time' },
  { key: 'i.to', name: 'batches, all to one account' },
  { key: 'g.1000000', name: 'batches both ways, 1 million accounts' },
  { key: 'g.10000000', name: 'batches both ways, 10 million accounts' },
  { key: 'g.10000.past.10000000', name: 'batches both ways, after 10 million payments' },
];

/** @throws Error when the result does not count */
export function renderReadme(result: BenchResult): string {
  if (!countsAtAll(result)) throw new Error('the last run does not count: not all of its books are right');
  const summaries = new Map(summarize(result).map((summary) => [summary.key, summary]));
  const peers = [...summaries.values()].filter(({ key }) => key.startsWith('peer.'));
  const best = (prefix: string): Summary | undefined =>
    peers.filter(({ key }) => key.startsWith(prefix)).sort((one, other) => (other.perSecond?.median ?? 0) - (one.perSecond?.median ?? 0))[0];
  const rows = [
    ...ROWS.map(({ key, name }) => ({ name, summary: summaries.get(key) })),
    { name: 'PostgreSQL XA, a transaction a payment', summary: best('peer.single.') },
    { name: 'PostgreSQL XA, 1,000 in a transaction', summary: best('peer.bulk.') },
  ];
  const { commit, profile, machine } = result;
  return [
    '| Payments | a second | p50 ms | p99 ms | against PostgreSQL XA |',
    '|---|---|---|---|---|',
    ...rows.flatMap(({ name, summary }) => (summary?.perSecond === undefined ? [] : [
      `| ${name} | ${formatCount(summary.perSecond.median)} | ${formatMs(summary.p50Ms?.median)} | ${formatMs(summary.p99Ms?.median)} | ${formatRatio(summary.overPeer?.median)} |`,
    ])),
    '',
    `\`npm run bench${profile === 'quick' ? ' -- --quick' : ''}\` at ${commit}, ${machine.cpus} cores of ${machine.cpuModel}, load generator and all servers on them; medians.`,
    '',
  ].join('\n');
}
