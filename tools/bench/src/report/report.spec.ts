import { describe, expect, it } from '@jest/globals';
import { countsAtAll } from '../result.ts';
import { renderHtml } from './html.ts';
import { findHotSpots } from './hot-spots.ts';
import { renderReadme } from './readme.ts';
import { judge, REQUIREMENTS } from './requirements.ts';
import { probeOf, resultOf, sampleOf } from './result.spec-kit.ts';
import { summarize } from './summary.ts';
import { renderTerminal } from './terminal.ts';

const BROKEN = { stage: 'books', clean: false, transfersChecked: 1, inDoubt: 0, problems: ['money is missing'], seconds: 1 };

describe('a summary', () => {
  it('compares with the best of the peer in the same round', () => {
    const result = resultOf([
      probeOf('peer.single.8', [sampleOf(1000), sampleOf(100)]),
      probeOf('peer.single.32', [sampleOf(500), sampleOf(200)]),
      probeOf('b', [sampleOf(20_000), sampleOf(4000)]),
    ]);
    expect(summarize(result).find(({ key }) => key === 'b')?.overPeer).toEqual({ median: 20, min: 20, max: 20, rounds: 2 });
  });

  it('compares with the floor that the probe names, and floors and peers with nothing', () => {
    const result = resultOf([
      probeOf('floor.sqlite', [sampleOf(100_000)]), probeOf('peer.single.8', [sampleOf(1000)]), probeOf('d', [sampleOf(25_000)], { floor: 'floor.sqlite' }),
    ]);
    const [floor, peer, d] = summarize(result);
    expect(d?.overFloor?.median).toBe(0.25);
    expect(floor?.overPeer).toBeUndefined();
    expect(peer?.overPeer).toBeUndefined();
  });

  it('adds failures up, and takes the highest peak of memory', () => {
    const result = resultOf([probeOf('b', [
      sampleOf(1, { failures: { BUSY: 2 } }),
      null,
      sampleOf(1, { failures: { BUSY: 1, LOST: 1 }, processes: { gateway: { cpuMicrosPerItem: 50, peakRssBytes: 300e6 } } }),
    ])]);
    const [b] = summarize(result);
    expect(b?.failures).toEqual({ BUSY: 3, LOST: 1 });
    expect(b?.processes['gateway']).toEqual({ cpuMicrosPerItem: 40, peakRssBytes: 300e6 });
  });
});

describe('requirements', () => {
  const verdictOf = (name: string, probes: Parameters<typeof resultOf>[0], overrides = {}): string | undefined =>
    judge(resultOf(probes, overrides)).find((judged) => judged.name.startsWith(name))?.verdict;

  it('tells the aim from the must and from a miss', () => {
    const b = (perSecond: number): Parameters<typeof resultOf>[0] => [probeOf('peer.single.8', [sampleOf(1000)]), probeOf('b', [sampleOf(perSecond)])];
    expect(verdictOf('(b) batches, against PostgreSQL, a', b(40_000))).toBe('aim');
    expect(verdictOf('(b) batches, against PostgreSQL, a', b(20_000))).toBe('must');
    expect(verdictOf('(b) batches, against PostgreSQL, a', b(19_999))).toBe('missed');
    expect(verdictOf('(b) batches, against PostgreSQL, a', [])).toBe('not measured');
  });

  it('wants less of a latency: that of one payment against two syncs and two calls', () => {
    const at = (p50: number): ReturnType<typeof sampleOf> => sampleOf(1, { latencyMs: { p50, p99: p50, p999: p50 } });
    const probes = (p50: number): Parameters<typeof resultOf>[0] => [
      probeOf('floor.fdatasync', [at(0.3)]), probeOf('floor.call.1', [at(0.2)]), probeOf('c.lean.1.decided', [at(p50)]),
    ];
    expect(verdictOf('(c) p50', probes(1.2))).toBe('aim');
    expect(verdictOf('(c) p50', probes(2))).toBe('must');
    expect(verdictOf('(c) p50', probes(2.1))).toBe('missed');
  });

  it('judges growth both ways and one way, each against small books that are paid the same way', () => {
    const probes = [probeOf('g.10000', [sampleOf(1000)]), probeOf('g.10000.oneway', [sampleOf(2000)]), probeOf('g.10000000', [sampleOf(900)]), probeOf('g.10000000.oneway', [sampleOf(1300)])];
    expect(verdictOf('(g) 10 million accounts, against 10 thousand, both ways', probes)).toBe('aim');
    expect(verdictOf('(g) 10 million accounts, against 10 thousand, one way', probes)).toBe('missed');
  });

  it('judges recovery only for the number of payments that it speaks of', () => {
    const probes = [probeOf('h.undecided', [sampleOf(1, { seconds: 4 })])];
    expect(verdictOf('(h) 100,000 in doubt, never', probes)).toBe('aim');
    expect(verdictOf('(h) 100,000 in doubt, never', probes, { inDoubt: 10 })).toBe('not measured');
  });

  it('takes the larger bank for memory', () => {
    const processes = { 'bank alpha': { cpuMicrosPerItem: 1, peakRssBytes: 150e6 }, 'bank beta': { cpuMicrosPerItem: 1, peakRssBytes: 450e6 } };
    expect(verdictOf('peak RSS of a bank', [probeOf('g.1000000', [sampleOf(1, { processes })])])).toBe('missed');
  });

  it('takes the ways of paying that need more memory', () => {
    const taking = (peakRssBytes: number): ReturnType<typeof sampleOf> => sampleOf(1, { processes: { gateway: { cpuMicrosPerItem: 1, peakRssBytes } } });
    const both = (one: number, other: number): Parameters<typeof resultOf>[0] => [probeOf('g.1000000', [taking(one)]), probeOf('g.1000000.oneway', [taking(other)])];
    expect(verdictOf('peak RSS of the gateway', both(150e6, 150e6))).toBe('aim');
    expect(verdictOf('peak RSS of the gateway', both(150e6, 450e6))).toBe('missed');
    expect(verdictOf('peak RSS of the gateway', both(450e6, 150e6))).toBe('missed');
  });

  it('have aims beyond their musts', () => {
    for (const { atMost, must, aim } of REQUIREMENTS) expect(atMost ? must > aim : aim > must).toBe(true);
  });
});

describe('a result', () => {
  const probes = [probeOf('peer.single.8', [sampleOf(1000)]), probeOf('b', [sampleOf(21_000)])];

  it('does not count without clean books, the peer\'s among them', () => {
    expect(countsAtAll(resultOf(probes))).toBe(true);
    expect(countsAtAll(resultOf(probes, { audits: [] }))).toBe(false);
    expect(countsAtAll(resultOf(probes, { audits: [BROKEN] }))).toBe(false);
    expect(countsAtAll(resultOf(probes, { peer: { kind: 'ran', version: '18', fault: 'in doubt: 1 and 0' } }))).toBe(false);
    expect(countsAtAll(resultOf(probes, { peer: { kind: 'missing', why: 'no such package' } }))).toBe(true);
  });

  it('is said not to count wherever it is shown', () => {
    const result = resultOf(probes, { audits: [BROKEN] });
    expect(renderTerminal(result)).toContain('THIS RUN DOES NOT COUNT');
    expect(renderTerminal(result)).toContain('money is missing');
    expect(renderHtml(result)).toContain('This run does not count');
    expect(() => renderReadme(result)).toThrow('does not count');
  });

  it('survives JSON, which knows no undefined', () => {
    const result = resultOf([...probes, probeOf('h.all', [sampleOf(1, { latencyMs: undefined, processes: { bank: { cpuMicrosPerItem: undefined, peakRssBytes: undefined } } })])]);
    const read = JSON.parse(JSON.stringify(result)) as typeof result;
    expect(renderTerminal(read)).toBe(renderTerminal(result));
    expect(renderHtml(read)).toBe(renderHtml(result));
  });

  it('becomes a page that needs nothing else and escapes what it shows', () => {
    const page = renderHtml(resultOf([...probes, probeOf('<script>', [sampleOf(1)])]));
    expect(page).toContain('&lt;script&gt;');
    expect(page).not.toMatch(/<script|src=|href=|url\(/);
    expect(page.match(/<svg/g)?.length).toBe(5);
  });

  it('becomes the table of the README with the command that made it', () => {
    expect(renderReadme(resultOf(probes))).toBe([
      '| Payments | a second | p50 ms | p99 ms | against PostgreSQL XA |',
      '|---|---|---|---|---|',
      '| batches of 1,000 | 21,000 | 1.00 | 5.00 | 21.0 x |',
      '| PostgreSQL XA, a transaction a payment | 1,000 | 1.00 | 5.00 | - |',
      '',
      '`npm run bench` at abc1234, 2 cores of CPU, load generator and all servers on them; medians.',
      '',
    ].join('\n'));
  });
});

describe('hot spots', () => {
  it('add self time up by function and by package, without idle time', () => {
    const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 9 });
    const spots = findHotSpots({
      nodes: [
        { id: 1, callFrame: frame('(idle)', '') },
        { id: 2, callFrame: frame('settle', 'file:///somewhere/apps/bank/src/main.ts') },
        { id: 3, callFrame: frame('write', 'file:///somewhere/node_modules/@grpc/grpc-js/build/server.js') },
      ],
      samples: [1, 2, 3, 2], timeDeltas: [5000, 1000, 1000, 2000],
    }, 'a.cpuprofile');
    expect(spots).toEqual({
      name: 'apps/bank/src/main.ts (a.cpuprofile)', busyMs: 4,
      functions: [{ name: 'settle apps/bank/src/main.ts:10', selfMs: 3, share: 0.75 }, { name: 'write @grpc/grpc-js/build/server.js:10', selfMs: 1, share: 0.25 }],
      packages: [{ name: 'apps/bank/src/main.ts', selfMs: 3, share: 0.75 }, { name: '@grpc/grpc-js', selfMs: 1, share: 0.25 }],
    });
  });
});
