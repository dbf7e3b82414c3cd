// The musts and aims, and what a result says about them. Pure.

import type { Sample } from '../measure/sample.ts';
import { greatestOf, ratiosOf, spreadOf, type Spread } from '../measure/statistics.ts';
import type { BenchResult } from '../result.ts';
import { bestOf, seriesOf } from './summary.ts';

export interface Requirement {
  readonly name: string;
  readonly unit: 'x' | 's' | 'MB';
  /** Whether less is better. */
  readonly atMost: boolean;
  readonly must: number;
  readonly aim: number;
  readonly figure: (result: BenchResult) => Spread | undefined;
}

export type Verdict = 'aim' | 'must' | 'missed' | 'not measured';

export interface Judged {
  readonly name: string;
  readonly unit: Requirement['unit'];
  readonly atMost: boolean;
  readonly must: number;
  readonly aim: number;
  readonly value: Spread | undefined;
  /** By the median. */
  readonly verdict: Verdict;
}

/** So many payments are in doubt in the requirement about recovery; another number is not judged. */
const IN_DOUBT = 100_000;
const MEGABYTE = 1e6;

const perSecond = (result: BenchResult, key: string): (number | undefined)[] => seriesOf(result, key, (sample) => sample.perSecond);
const p50 = (result: BenchResult, key: string): (number | undefined)[] => seriesOf(result, key, ({ latencyMs }) => latencyMs?.p50);
const p99 = (result: BenchResult, key: string): (number | undefined)[] => seriesOf(result, key, ({ latencyMs }) => latencyMs?.p99);

/** By round, at the best of the numbers of callers that were tried; so is the peer. */
const bestOverPeer = (prefix: string) => (result: BenchResult) => ratiosOf(bestOf(result, prefix), bestOf(result, 'peer.single.'));
const overPeer = (key: string, peer: 'single' | 'bulk') => (result: BenchResult) => ratiosOf(perSecond(result, key), bestOf(result, `peer.${peer}.`));
const over = (key: string, other: string) => (result: BenchResult) => ratiosOf(perSecond(result, key), perSecond(result, other));

export const REQUIREMENTS: readonly Requirement[] = [
  { name: '(a) coalesced, at its best, against PostgreSQL, a transaction a payment', unit: 'x', atMost: false, must: 20, aim: 40, figure: bestOverPeer('a.') },
  { name: '(b) batches, against PostgreSQL, a transaction a payment', unit: 'x', atMost: false, must: 20, aim: 40, figure: overPeer('b', 'single') },
  { name: '(b) batches, against PostgreSQL in bulk', unit: 'x', atMost: false, must: 0.4, aim: 1, figure: overPeer('b', 'bulk') },
  { name: '(c) unary, 64 at once, against PostgreSQL, a transaction a payment', unit: 'x', atMost: false, must: 4, aim: 6, figure: overPeer('c.lean.64', 'single') },
  { name: '(c) p50 of one at a time, decided, against 2 fdatasync + 2 empty calls', unit: 'x', atMost: true, must: 2, aim: 1.3, figure: latencyOverFloor },
  { name: '(d) inside one bank, against (b)', unit: 'x', atMost: false, must: 1.5, aim: 2.5, figure: over('d', 'b') },
  { name: '(f) p99 of payments while logins flood, against without', unit: 'x', atMost: true, must: 1.5, aim: 1.1, figure: (result) => ratiosOf(p99(result, 'f.flood'), p99(result, 'f.calm')) },
  { name: '(g) 10 million accounts, against 10 thousand, both ways', unit: 'x', atMost: false, must: 0.7, aim: 0.9, figure: over('g.10000000', 'g.10000') },
  { name: '(g) 10 million accounts, against 10 thousand, one way', unit: 'x', atMost: false, must: 0.7, aim: 0.9, figure: over('g.10000000.oneway', 'g.10000.oneway') },
  { name: '(g) after 10 million payments, against none, both ways', unit: 'x', atMost: false, must: 0.7, aim: 0.9, figure: over('g.10000.past.10000000', 'g.10000') },
  { name: '(g) after 10 million payments, against none, one way', unit: 'x', atMost: false, must: 0.7, aim: 0.9, figure: over('g.10000.past.10000000.oneway', 'g.10000.oneway') },
  ...(['undecided', 'undelivered', 'all'] as const).map((variant): Requirement => ({
    name: `(h) 100,000 in doubt, ${{ undecided: 'never decided', undelivered: 'decided', all: 'decided, all restarted' }[variant]}`, unit: 's', atMost: true, must: 20, aim: 5,
    figure: (result) => (result.inDoubt === IN_DOUBT ? spreadOf(seriesOf(result, `h.${variant}`, ({ seconds }) => seconds)) : undefined),
  })),
  { name: 'peak RSS of the gateway, 1 million accounts', unit: 'MB', atMost: true, must: 400, aim: 200, figure: (result) => peakRss(result, 'gateway') },
  { name: 'peak RSS of a bank, 1 million accounts', unit: 'MB', atMost: true, must: 400, aim: 200, figure: (result) => peakRss(result, 'bank') },
];

export function judge(result: BenchResult): Judged[] {
  return REQUIREMENTS.map(({ figure, ...requirement }) => {
    const value = figure(result);
    return { ...requirement, value, verdict: verdictOf(requirement, value?.median) };
  });
}

function verdictOf({ atMost, must, aim }: Omit<Requirement, 'figure'>, value: number | undefined): Verdict {
  if (value === undefined) return 'not measured';
  const reaches = (bound: number): boolean => (atMost ? value <= bound : value >= bound);
  return reaches(aim) ? 'aim' : reaches(must) ? 'must' : 'missed';
}

function latencyOverFloor(result: BenchResult): Spread | undefined {
  const calls = p50(result, 'floor.call.1');
  const floor = p50(result, 'floor.fdatasync').map((sync, round) => {
    const call = calls[round];
    return sync === undefined || call === undefined ? undefined : 2 * sync + 2 * call;
  });
  return ratiosOf(p50(result, 'c.lean.1.decided'), floor);
}

/** By round, the most of any process of that role, whichever way the payments go. */
function peakRss(result: BenchResult, role: string): Spread | undefined {
  const peak = ({ processes }: Sample): number | undefined => {
    return greatestOf(Object.entries(processes).filter(([name]) => name.startsWith(role)).map(([, usage]) => usage.peakRssBytes ?? undefined));
  };
  const oneWay = seriesOf(result, 'g.1000000.oneway', peak);
  return spreadOf(seriesOf(result, 'g.1000000', peak).map((bothWays, round) => {
    const bytes = greatestOf([bothWays, oneWay[round]]);
    return bytes === undefined ? undefined : bytes / MEGABYTE;
  }));
}
