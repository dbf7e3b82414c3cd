// The rules for reading Consul's catalog, without a Consul.

import { describe, expect, it } from '@jest/globals';
import {
  backOffMs, claimId, consulServiceName, findRemains, findRival, findUsurper, instanceIdsIn, nextIndex, passingInstances, readEntries, readServiceNames, settle, tagsOf,
  type Entry,
} from './consul-catalog.ts';
import { bank } from './registry-contract.ts';

const entry = (claim: string, createIndex: number, rest: Partial<Entry> = {}): Entry =>
  ({ claim, createIndex, instance: bank('alpha'), node: 'n1', isAlive: true, isHolding: true, isPassing: true, ...rest });
const none: ReadonlySet<string> = new Set();

describe('the order of claims', () => {
  it('gives a name to the oldest claim that lives', () => {
    const [old, mine, young] = [entry('a', 10), entry('b', 11), entry('c', 12)];
    expect(findRival([young, mine, old], mine, none)).toBe(old);
    expect(findRival([young, mine, { ...old, isAlive: false }], mine, none)).toBeUndefined();
    expect(findRival([young, mine], mine, none)).toBeUndefined();
  });

  it('has an answer for two claims of one index, which both sides find', () => {
    const [a, b] = [entry('a', 10), entry('b', 10)];
    expect([findRival([a, b], a, none), findRival([a, b], b, none)]).toEqual([undefined, a]);
  });

  it('takes neither earlier claims of its own for rivals, nor claims to other names', () => {
    const mine = entry('c', 12);
    expect(findRival([entry('a', 10), entry('b', 11, { instance: bank('beta') }), mine], mine, new Set(['a']))).toBeUndefined();
  });

  it('finds who took the name meanwhile, whoever was first, but nobody who only claims it', () => {
    const [mine, holder] = [entry('a', 10), entry('b', 11)];
    expect(findUsurper([mine, holder], mine.instance, new Set(['a']))).toBe(holder);
    expect(findUsurper([mine, { ...holder, isHolding: false }], mine.instance, new Set(['a']))).toBeUndefined();
  });

  it('finds what dead processes left at the same agent', () => {
    const mine = entry('c', 12);
    const dead = entry('a', 10, { isAlive: false });
    const elsewhere = entry('b', 11, { isAlive: false, node: 'n2' });
    expect(findRemains([dead, elsewhere, entry('d', 13), mine], mine, none)).toEqual([dead]);
  });

  it('shows the older of two that pass under one name', () => {
    const [old, young] = [entry('b', 10, { instance: bank('alpha', 1001) }), entry('a', 11, { instance: bank('alpha', 1002) })];
    expect([...passingInstances([young, old])]).toEqual([['alpha', bank('alpha', 1001)]]);
  });
});

describe('an entry of the catalog', () => {
  const claim = claimId(bank('alpha'), '0123456789ab');
  const item = (statuses: Record<string, string>, rest: object = {}) => ({
    Node: { Node: 'n1', Address: '10.0.0.1' },
    Service: { ID: claim, Address: '127.0.0.1', Port: 1000, Meta: bank('alpha').meta, CreateIndex: 7, ...rest },
    Checks: Object.entries(statuses).map(([CheckID, Status]) => ({ CheckID, Status })),
  });

  it('becomes the instance that was registered', () => {
    const { entries, problems } = readEntries(bank('alpha'), [item({ serfHealth: 'passing', [`${claim}:heartbeat`]: 'passing' })]);
    expect(entries).toEqual([{ claim, instance: bank('alpha'), node: 'n1', createIndex: 7, isAlive: true, isHolding: true, isPassing: true }]);
    expect(problems.size).toBe(0);
    expect(tagsOf(bank('alpha'))).toEqual(['bank=alpha', 'version=1']);
  });

  it.each([
    ['lives but is not shown while it is only claimed', { [`${claim}:heartbeat`]: 'warning' }, { isAlive: true, isHolding: false, isPassing: false }],
    ['is dead without a heartbeat', { [`${claim}:heartbeat`]: 'critical' }, { isAlive: false, isHolding: false, isPassing: false }],
    ['is dead with its node', { serfHealth: 'critical', [`${claim}:heartbeat`]: 'passing' }, { isAlive: false, isHolding: false, isPassing: false }],
    ['holds its name but is not shown while its server does not answer', { [`${claim}:server`]: 'critical', [`${claim}:heartbeat`]: 'passing' }, { isAlive: true, isHolding: true, isPassing: false }],
  ])('%s', (_, statuses, expected) => {
    expect(readEntries(bank('alpha'), [item(statuses)]).entries).toMatchObject([expected]);
  });

  it('has the address of its node when it has none', () => {
    expect(readEntries(bank('alpha'), [item({}, { Address: '' })]).entries[0]?.instance.host).toBe('10.0.0.1');
  });

  it.each([
    ['ID', { ID: 'by-hand' }],
    ['ID', { ID: claimId({ service: 'gateway', id: 'alpha' }, '0123456789ab') }],
    ['port', { Port: 0 }],
    ['ID', { ID: claimId(bank('alphabet'), '0123456789ab') }],
    ['meta', { Meta: { version: 1 } }],
    ['meta', { Meta: { bank: 'beta' } }],
  ])('is left out with its reason when its %s is wrong: %j', (field, wrong) => {
    const { entries, problems } = readEntries(bank('alpha'), [item({}, wrong)]);
    expect(entries).toEqual([]);
    expect([...problems.values()]).toEqual([expect.stringContaining(`${field}:`)]);
  });

  it('is nothing in an answer that is no list', () => {
    expect(readEntries(bank('alpha'), undefined).entries).toEqual([]);
  });
});

describe('the names of services', () => {
  it('are told by kind, and what is none of ours is left out', () => {
    const names = readServiceNames({ consul: [], 'strife-bank-alpha': ['bank=alpha'], 'strife-gateway-g1': [], 'strife-bank-': [], 'strife-bank': [], 'strife-bank-a b': [] });
    expect([...instanceIdsIn('bank', names)]).toEqual(['alpha']);
    expect([...instanceIdsIn('gateway', names)]).toEqual(['g1']);
    expect(readServiceNames(null)).toEqual([]);
    expect(consulServiceName({ service: 'gateway', id: 'g1' })).toBe('strife-gateway-g1');
  });
});

describe('tags', () => {
  it('leave long values out', () => {
    expect(tagsOf({ ...bank('alpha'), meta: { keys: 'x'.repeat(200), version: '1' } })).toEqual(['version=1']);
  });
});

describe('a watcher', () => {
  const map = (...ids: string[]) => new Map(ids.map((id) => [id, bank(id)]));

  it('drops who is not in the catalog, but not while Consul settles', () => {
    expect([...settle({ shown: map('alpha', 'beta'), read: map('beta', 'gamma'), isSettling: true }).keys()]).toEqual(['alpha', 'beta', 'gamma']);
    expect([...settle({ shown: map('alpha', 'beta'), read: map('beta', 'gamma'), isSettling: false }).keys()]).toEqual(['beta', 'gamma']);
  });

  it('takes a new address over at once', () => {
    const read = new Map([['alpha', bank('alpha', 1002)]]);
    expect(settle({ shown: map('alpha'), read, isSettling: true }).get('alpha')?.port).toBe(1002);
  });

  it.each([
    ['follows an index that grows', 5n, '6', { index: 6n, wentBack: false }],
    ['stays with one that does not', 5n, '5', { index: 5n, wentBack: false }],
    ['begins anew after one that went back', 5n, '4', { index: 0n, wentBack: true }],
    ['takes zero for none', 0n, '0', { index: 0n, wentBack: false }],
    ['takes what is missing for none', 0n, undefined, { index: 0n, wentBack: false }],
    ['takes what is no number for none', 5n, '-1', { index: 0n, wentBack: true }],
    ['reads beyond what a double holds', 0n, '18446744073709551615', { index: 18446744073709551615n, wentBack: false }],
  ])('%s', (_, last, header, expected) => {
    expect(nextIndex(last, header)).toEqual(expected);
  });

  it('waits anything up to a step that doubles until its limit', () => {
    const limits = { baseMs: 100, maxMs: 1000 };
    expect([0, 1, 2, 3, 4, 500].map((attempt) => backOffMs(attempt, () => 1, limits))).toEqual([100, 200, 400, 800, 1000, 1000]);
    expect(backOffMs(3, () => 0, limits)).toBe(0);
  });
});
