// What happened to a payment, told step by step from what the gateways and banks have made durable, also after crashes.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { loadTls } from '@strife/certs';
import { AuthenticationError, connect, newTransferId, NotFoundError, TransferDeclinedError } from '@strife/sdk';
import type { Strife, TransferTimeline } from '@strife/sdk';
import { AccountServiceDefinition, TransferServiceDefinition } from '@strife/stubs/gateway';
import { viewStores } from '../chaos/store-view.ts';
import type { StoreView } from '../chaos/store-view.ts';
import { until } from '../chaos/until.ts';
import { expectCleanBooks } from '../support/books.ts';
import { bearer } from '../support/callers.ts';
import { onThisMachine } from '../support/patience.ts';
import { failureOf, refusalOf } from '../support/refusal.ts';
import { documentsOf, strifeCommand } from '../support/strife-command.ts';
import { passwordOf, startTestCluster } from '../support/test-cluster.ts';
import type { Person, TestCluster } from '../support/test-cluster.ts';

/** Long enough to stop and start services while banks may still vote. */
const PREPARE_TIMEOUT_MS = 8000;
const TIMELINE_MAX_MS = 1000;
const PATIENT_MS = 60_000;

let cluster: TestCluster;
let stores: StoreView;
const clients: Strife[] = [];

beforeAll(async () => {
  cluster = await startTestCluster({ banks: ['alpha', 'beta', 'gamma'], gateways: ['g1', 'g2'], prepareTimeoutMs: PREPARE_TIMEOUT_MS });
  stores = viewStores(cluster.directories.data);
}, 60_000);
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await cluster?.end();
});

const eur = (minorUnits: bigint) => ({ currency: 'EUR', minorUnits });

/** Somebody new, whose calls go to one gateway only. */
async function person(bank: string, gateway = 'g1'): Promise<Person> {
  const made = await cluster.person(bank, { timeoutMs: PATIENT_MS });
  return { ...made, strife: await at(gateway, made) };
}

async function at(gateway: string, { strife: { session } }: Person): Promise<Strife> {
  const tls = await loadTls(cluster.directories.certs, 'client/dev');
  const strife = await connect({ gateways: [cluster.service(gateway).address], tls, session, timeoutMs: PATIENT_MS });
  clients.push(strife);
  return strife;
}

function two(to = 'beta'): Promise<[Person, Person]> {
  return Promise.all([person('alpha'), person(to)]);
}

/** The events as `place what attempt`. */
const linesOf = ({ events }: TransferTimeline): string[] => events.map(({ place, kind, attempt }) => [place, kind, attempt].filter((part) => part !== undefined).join(' '));

/** The timeline, once it shows what `isThere` looks for: a gateway notes acknowledgements a moment after it has answered. */
async function timelineWith(strife: Strife, id: string, isThere: (lines: string[]) => boolean): Promise<TransferTimeline> {
  let timeline = await strife.transfers.explain(id);
  await until('the timeline is complete', async () => {
    timeline = await strife.transfers.explain(id);
    return isThere(linesOf(timeline)) && timeline.missing.length === 0;
  }, PATIENT_MS);
  return timeline;
}

const acknowledged = (lines: string[]): boolean => lines.some((line) => line.includes('acknowledged'));

/** One payment of 1.00 EUR, sent once. */
async function payOnce(payer: Person, payee: Person, id: string): Promise<unknown> {
  const transfers = await cluster.callers.client(TransferServiceDefinition, cluster.service('g1').address, 'client/dev');
  const to = { bank: payee.bank, account: payee.name };
  return transfers.createTransfer({ id, to, amount: eur(100n) }, { metadata: bearer(payer.strife.session!.token) });
}

/** The bank has answered everything that it was asked before. */
async function untilAnswered({ strife }: Person): Promise<void> {
  const accounts = await cluster.callers.client(AccountServiceDefinition, cluster.service('g1').address, 'client/dev');
  await accounts.getAccount({}, { metadata: bearer(strife.session!.token) });
}

describe('a payment that went well', () => {
  it('is told from the first attempt to the last acknowledgement, the same to its payer and its payee when all went well', async () => {
    const [payer, payee] = await two();
    const { id } = await payer.strife.transfers.create({ to: payee.account, amount: eur(1250n), memo: 'lunch' });
    const timeline = await timelineWith(payer.strife, id, acknowledged);
    expect(timeline.transfer).toMatchObject({ id, from: payer.account, to: payee.account, amount: eur(1250n), memo: 'lunch', state: 'succeeded', decidedAt: expect.any(Date) });
    const lines = linesOf(timeline);
    expect([lines[0], lines[3], lines[6]]).toEqual(['gateway g1 attempt 1', 'gateway g1 decided 1', 'gateway g1 acknowledged 1']);
    expect(lines.slice(1, 3).sort()).toEqual(['bank alpha prepared 1', 'bank beta prepared 1']);
    expect(lines.slice(4, 6).sort()).toEqual(['bank alpha settled 1', 'bank beta settled 1']);
    expect(lines).toHaveLength(7);
    expect(timeline.events.map(({ at }) => at?.getTime() ?? Infinity)).toEqual(timeline.events.map(({ at }) => at?.getTime() ?? Infinity).sort((one, other) => one - other));
    expect(timeline.events.find(({ place, kind }) => place === 'bank alpha' && kind === 'prepared')?.detail).toBe(`holds 12.50 EUR of ${payer.name}, votes YES`);
    expect(await payee.strife.transfers.explain(id)).toEqual(timeline);
  });

  it('inside one bank is one step', async () => {
    const [payer, payee] = await two('alpha');
    const { id } = await payer.strife.transfers.create({ to: payee.account, amount: eur(100n) });
    for (const { strife } of [payer, payee]) {
      const timeline = await strife.transfers.explain(id);
      expect([timeline.transfer.state, linesOf(timeline), timeline.missing]).toEqual(['succeeded', ['bank alpha settled 1'], []]);
    }
  });

  it('is told by another gateway as far as the banks know it, with the gateway to ask for the rest', async () => {
    const [payer, payee] = await two();
    const { id } = await payer.strife.transfers.create({ to: payee.account, amount: eur(100n) });
    const timeline = await (await at('g2', payer)).transfers.explain(id);
    expect(timeline.transfer.state).toBe('succeeded');
    expect(linesOf(timeline).sort()).toEqual(['bank alpha prepared 1', 'bank alpha settled 1', 'bank beta prepared 1', 'bank beta settled 1']);
    expect(timeline.missing).toEqual([{ place: 'gateway g1', detail: expect.stringContaining('ask that gateway') }]);
  });
});

describe('a payment that was declined', () => {
  it('names the bank that closed it, and the reason', async () => {
    const [payer, payee] = await two();
    const id = newTransferId();
    await failureOf(payer.strife.transfers.create({ id, to: payee.account, amount: eur(100_001n) }), TransferDeclinedError);
    const timeline = await timelineWith(payer.strife, id, acknowledged);
    expect(timeline.transfer).toMatchObject({ state: 'declined', declineReason: 'insufficient_funds' });
    expect(timeline.events).toContainEqual(expect.objectContaining({ place: 'bank alpha', kind: 'declined', detail: 'declined for ever: insufficient funds' }));
    expect(timeline.events).toContainEqual(expect.objectContaining({ place: 'gateway g1', kind: 'decided', attempt: 1, detail: 'declines for ever: insufficient funds' }));
    expect(timeline.events.filter(({ place, kind }) => place === 'bank beta' && kind === 'declined')).toHaveLength(1);
    expect(timeline.events.filter(({ kind }) => kind === 'settled')).toEqual([]);
  });

  it.each(['beta', 'alpha'])("tells a payee at %s that the payer's bank declined, and not why", async (bank) => {
    const [payer, payee] = await two(bank);
    const id = newTransferId();
    const { pid } = cluster.service('alpha');
    const pay = () => failureOf(payer.strife.transfers.create({ id, to: payee.account, amount: eur(100_001n) }), TransferDeclinedError);
    if (bank === 'alpha') {
      await pay();
    } else {
      process.kill(pid, 'SIGSTOP');
      const declined = pay();
      // Only with its half does the payee's bank know whose payment it is.
      await until("the payee's bank has voted", () => stores.leg('beta', id) === 'prepared').finally(() => process.kill(pid, 'SIGCONT'));
      await declined;
      await timelineWith(payer.strife, id, acknowledged);
    }
    expect((await payer.strife.transfers.explain(id)).transfer.declineReason).toBe('insufficient_funds');
    const told = await payee.strife.transfers.explain(id);
    expect(told.transfer).toMatchObject({ state: 'declined', declineReason: 'unspecified' });
    expect(told.events.map(({ detail }) => detail)).toContain("declined by the payer's bank");
    expect(JSON.stringify(told.events)).not.toContain('insufficient');
    expect(await payee.strife.transfers.get(id)).toMatchObject({ state: 'declined', declineReason: 'unspecified' });
  });
});

describe('who may ask', () => {
  it('is the payer and the payee: anybody else, and whoever asks for an unknown id, is told that there is none', async () => {
    const [payer, payee] = await two();
    const strangers = await Promise.all([person('alpha'), person('beta'), person('gamma')]);
    const { id } = await payer.strife.transfers.create({ to: payee.account, amount: eur(100n) });
    const unknown = newTransferId();
    for (const { strife } of strangers) {
      for (const asked of [id, unknown]) {
        const error = await failureOf(strife.transfers.explain(asked), NotFoundError);
        expect([error.code, error.message.replace(asked, '<id>')]).toEqual(['NO_SUCH_TRANSFER', 'id: no transfer <id> of yours']);
      }
    }
    await failureOf(payer.strife.transfers.explain(unknown), NotFoundError);
  });

  it('is nobody who has logged out', async () => {
    const [payer, payee] = await two();
    const { id } = await payer.strife.transfers.create({ to: payee.account, amount: eur(100n) });
    await payer.strife.logout();
    await failureOf(payer.strife.transfers.explain(id), AuthenticationError);
  });
});

describe('a payment that met faults', () => {
  it('shows the attempt that was given up and the one that made it; a stuck bank is named as missing, in time', async () => {
    const [payer, payee] = await two();
    const id = newTransferId();
    const { pid } = cluster.service('beta');
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await refusalOf(payOnce(payer, payee, id))).toMatchObject({ reason: 'PREPARE_TIMEOUT', outcome: 'not_applied' });
      await until('the hold is released', () => stores.leg('alpha', id) === 'aborted');
      const startedAtMs = performance.now();
      const { transfer, missing } = await payer.strife.transfers.explain(id);
      expect(performance.now() - startedAtMs).toBeLessThan(onThisMachine(TIMELINE_MAX_MS));
      // The other gateway may hold a repeat.
      expect([transfer.state, missing]).toEqual(['pending', [
        { place: 'bank beta', detail: expect.stringContaining('cannot be reached') },
        { place: 'gateway g2', detail: 'given up at gateway g1; this one was not asked and may still hold it: do not pay again under another id' },
      ]]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await payer.strife.transfers.create({ id, to: payee.account, amount: eur(100n) });
    const timeline = await timelineWith(payer.strife, id, acknowledged);
    expect(timeline.transfer.state).toBe('succeeded');
    const lines = linesOf(timeline);
    const last = timeline.events.find(({ kind }) => kind === 'acknowledged')!.attempt!;
    expect(last).toBeGreaterThan(1);
    const story = ['gateway g1 attempt 1', 'bank alpha prepared 1', 'gateway g1 decided 1', 'bank alpha released 1', `gateway g1 attempt ${last}`, `bank beta prepared ${last}`, `gateway g1 decided ${last}`, `bank beta settled ${last}`];
    expect(lines.filter((line) => story.includes(line))).toEqual(story);
    expect(timeline.events.find(({ kind, attempt }) => kind === 'decided' && attempt === 1)?.detail).toBe('gives the attempt up, nothing moved: a bank did not vote in time');
  });

  it('shows the crash of a bank after its YES, and the start after it', async () => {
    const [payer, payee] = await two();
    const id = newTransferId();
    const { pid } = cluster.service('alpha');
    process.kill(pid, 'SIGSTOP');
    const paid = payer.strife.transfers.create({ id, to: payee.account, amount: eur(100n) });
    paid.catch(() => undefined);
    try {
      await until('the bank has voted', () => stores.leg('beta', id) === 'prepared');
      await cluster.service('beta').kill('SIGKILL');
      await cluster.service('beta').restart();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await paid;
    const timeline = await timelineWith(payer.strife, id, acknowledged);
    // The payer reads of the crash, the payee does not.
    const { events } = await payee.strife.transfers.explain(id);
    expect(events).toEqual(timeline.events.filter(({ kind }) => kind !== 'started'));
    const atBeta = timeline.events.filter(({ place }) => place === 'bank beta');
    expect(atBeta.slice(0, 2)).toEqual([
      expect.objectContaining({ kind: 'prepared' }),
      expect.objectContaining({ kind: 'started', detail: 'starts again after it was killed or crashed' }),
    ]);
    expect(atBeta.at(-1)).toMatchObject({ kind: 'settled' });
    expect(timeline.events.filter(({ kind, place }) => kind === 'started' && place !== 'bank beta')).toEqual([]);
  });

  it('tells a clean stop from a crash', async () => {
    const [payer, payee] = await two();
    const id = newTransferId();
    const { pid } = cluster.service('alpha');
    process.kill(pid, 'SIGSTOP');
    const paid = payer.strife.transfers.create({ id, to: payee.account, amount: eur(100n) });
    paid.catch(() => undefined);
    try {
      await until('the bank has voted', () => stores.leg('beta', id) === 'prepared');
      await cluster.service('beta').restart();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await paid;
    const timeline = await timelineWith(payer.strife, id, acknowledged);
    const starts = timeline.events.filter(({ kind }) => kind === 'started');
    expect(starts).toEqual([expect.objectContaining({ place: 'bank beta', detail: expect.stringMatching(/^starts again after a clean stop at 2\d{3}-/) })]);
  });

  it('shows the crash of the gateway between its decision and the settling, and that of the bank that had not heard of it', async () => {
    const [payer, payee] = await two();
    const id = newTransferId();
    const [alpha, beta] = ['alpha', 'beta'].map((bank) => cluster.service(bank).pid) as [number, number];
    process.kill(alpha, 'SIGSTOP');
    const paid = payOnce(payer, payee, id);
    paid.catch(() => undefined);
    try {
      await until('the one bank has voted', () => stores.leg('beta', id) === 'prepared');
      await untilAnswered(payee);
      process.kill(beta, 'SIGSTOP');
      process.kill(alpha, 'SIGCONT');
      await until('the gateway has decided', () => stores.decision('g1', id) === 'committed');
      await cluster.service('g1').kill('SIGKILL');
      await refusalOf(paid);
    } finally {
      process.kill(alpha, 'SIGCONT');
      // With it goes what it was sent and has not read: it hears of the decision from the next process of the gateway only.
      await cluster.service('beta').kill('SIGKILL');
      await cluster.service('g1').restart();
      await cluster.service('beta').restart();
    }
    const timeline = await timelineWith(payer.strife, id, acknowledged);
    const story = ['gateway g1 decided 1', 'gateway g1 started', 'bank beta started', 'bank beta settled 1', 'gateway g1 acknowledged 1'];
    expect(linesOf(timeline).filter((line) => story.includes(line))).toEqual(story);
    expect(new Set(timeline.events.filter(({ kind }) => kind === 'started').map(({ detail }) => detail))).toEqual(new Set(['starts again after it was killed or crashed']));
    expect(timeline.transfer.state).toBe('succeeded');
  });
});

describe('strife transfer explain', () => {
  it('prints an aligned timeline, or one document; a transfer of somebody else is exit code 5', async () => {
    const [payer, payee] = await two();
    const stranger = await person('gamma');
    const { id } = await payer.strife.transfers.create({ to: payee.account, amount: eur(1250n) });
    await timelineWith(payer.strife, id, acknowledged);
    const [mine, theirs] = await Promise.all([payer, stranger].map(async ({ bank, name }) => {
      const home = join(cluster.root, 'homes', name);
      await mkdir(home, { recursive: true });
      const strife = strifeCommand({ home, profileFile: cluster.profileFile });
      await strife(['login', bank, name], { env: { STRIFE_PASSWORD: passwordOf(name) } });
      return strife;
    }));
    const env = { STRIFE_GATEWAYS: cluster.service('g1').address };
    const text = await mine!(['transfer', 'explain', id], { env });
    expect([text.code, text.stderr]).toEqual([0, '']);
    const lines = text.stdout.split('\n');
    expect(lines.slice(0, 2)).toEqual([`transfer  ${id}`, 'state     succeeded']);
    const moment = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}/;
    expect(lines.find((line) => line.includes(' decided '))).toMatch(new RegExp(`^${moment.source}  gateway g1 +1  decided +commits: both banks voted YES$`));

    const json = await mine!(['transfer', 'explain', id, '--json'], { env });
    expect(documentsOf(json)).toEqual([{
      version: 1,
      timeline: {
        transfer: expect.objectContaining({ id, state: 'succeeded', amount: { currency: 'EUR', amount: '12.50', minorUnits: '1250' } }),
        events: expect.arrayContaining([expect.objectContaining({ at: expect.any(String), place: 'bank beta', kind: 'settled', attempt: 1 })]),
        missing: [],
      },
    }]);
    expect(await theirs!(['transfer', 'explain', id], { env })).toMatchObject({ code: 5, stdout: '' });
    expect(await mine!(['transfer', 'explain', 'nonsense'], { env })).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('the books', () => {
  it('are clean after all this', async () => {
    await expectCleanBooks(cluster);
  });
});
