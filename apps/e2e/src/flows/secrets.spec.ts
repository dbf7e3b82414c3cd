// Canaries: no password, token, grant or key ever reaches a log file, stdout or stderr of any service, whatever is done with it.

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ensureCertificates } from '@strife/certs';
import { seedUser } from '@strife/cluster';
import { connect, eur } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import { BankServiceDefinition, AdminServiceDefinition, ParticipantServiceDefinition, Side } from '@strife/stubs/bank';
import { AccountServiceDefinition, SessionServiceDefinition, TransferServiceDefinition } from '@strife/stubs/gateway';
import { bearer, openCallers } from '../support/callers.ts';
import type { Callers } from '../support/callers.ts';
import { expectCleanBooks } from '../support/books.ts';
import { isOverConsul, openTestDiscovery } from '../support/discovery.ts';
import type { TestDiscovery } from '../support/discovery.ts';
import { refusalOf } from '../support/refusal.ts';
import { runService, serviceArgs } from '../support/service-run.ts';
import type { ServiceRun } from '../support/service-run.ts';
import { partsOf } from '../support/tokens.ts';
import { writeFile } from 'node:fs/promises';

const PASSWORDS = { alice: 'canary-alice-Xk29', bob: 'canary-bob-Lm83', wrong: 'canary-wrong-Qz17', opened: 'canary-opened-Rt55' } as const;

let root: string;
let runs: Record<'alpha' | 'beta' | 'g1', ServiceRun>;
const started: ServiceRun[] = [];
let addresses: Record<keyof typeof runs, string>;
let discovery: TestDiscovery;
let callers: Callers;
/** By what it is. */
const canaries = new Map<string, string>(Object.entries(PASSWORDS));

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'strife-secrets-'));
  discovery = await openTestDiscovery(root);
  if (!isOverConsul) await ensureCertificates({ directory: join(root, 'certs'), identities: ['gateway/g1', 'bank/alpha', 'bank/beta', 'client/dev'] });
  callers = openCallers(discovery);
  const seeds = await Promise.all([seedFile('alpha', 'alice'), seedFile('beta', 'bob')]);
  // Everything that can be logged is.
  const start = (role: 'gateway' | 'bank', name: string, more: Record<string, string> = {}) => runService(role, serviceArgs({ directories: directories(), discovery }, name, { 'log-level': 'debug', ...more }));
  const banks = { alpha: start('bank', 'alpha', { seed: seeds[0] }), beta: start('bank', 'beta', { seed: seeds[1] }) };
  started.push(banks.alpha, banks.beta);
  const [alpha, beta] = await Promise.all([banks.alpha.ready, banks.beta.ready]);
  // Banks first: a gateway that has never met a bank takes its name for unknown.
  const gateway = start('gateway', 'g1');
  started.push(gateway);
  runs = { ...banks, g1: gateway };
  const g1 = await gateway.ready;
  addresses = { alpha, beta, g1 };
}, 60_000);
afterAll(async () => {
  callers?.close();
  await Promise.all(started.map((run) => run.stop()));
  await discovery?.end();
  await rm(root, { recursive: true, force: true });
});

function directories() {
  return { data: join(root, 'data'), logs: join(root, 'logs'), registry: join(root, 'registry'), certs: join(root, 'certs'), profile: root };
}

async function seedFile(bank: string, username: 'alice' | 'bob'): Promise<string> {
  const { currency, openingMinor } = seedUser(username);
  const file = join(root, `${bank}.json`);
  await writeFile(file, JSON.stringify([{ username, password: PASSWORDS[username], currency, opening_minor: openingMinor.toString() }]), { mode: 0o600 });
  return file;
}

async function logIn(bank: string, username: 'alice' | 'bob'): Promise<Strife> {
  const strife = await connect({ gateways: [addresses.g1], tls: await discovery.certificate('client/dev') });
  const { token } = await strife.login({ bank, username, password: PASSWORDS[username] });
  canaries.set(`token of ${username}`, token);
  canaries.set(`grant of ${username}`, String(partsOf(token).claims['grant']));
  return strife;
}

/** The secrets in every form in which they could slip out: whole, and the parts of a token that alone would do. */
function needles(): [what: string, text: string][] {
  return [...canaries].flatMap(([what, text]) => {
    const parts = text.split('.');
    return parts.length === 3 ? [[what, text], [`signature in the ${what}`, parts[2]!], [`claims in the ${what}`, parts[1]!]] : [[what, text]];
  });
}

describe('secrets', () => {
  it('are used in every way: logins, payments, mistakes and refusals', async () => {
    const [alice, bob] = [await logIn('alpha', 'alice'), await logIn('beta', 'bob')];
    await alice.transfers.create({ to: 'beta/bob', amount: eur('1.00') });
    await alice.transfers.createMany([{ to: 'beta/bob', amount: eur('1.00') }, { to: 'beta/nobody', amount: eur('1.00') }]);
    await bob.balance();
    await refusalOf((await callers.client(SessionServiceDefinition, addresses.g1, 'client/dev')).login({ bank: 'alpha', username: 'alice', password: PASSWORDS.wrong }));
    await bob.logout();
    await Promise.all([alice.close(), bob.close()]);
  });

  it('also where they do not belong', async () => {
    const token = canaries.get('token of alice')!;
    const grant = canaries.get('grant of alice')!;
    const accounts = await callers.client(AccountServiceDefinition, addresses.g1, 'client/dev');
    const sessions = await callers.client(SessionServiceDefinition, addresses.g1, 'client/dev');
    const transfers = await callers.client(TransferServiceDefinition, addresses.g1, 'client/dev');
    // Refused, forged, too long, in other fields, and in messages that cannot be read.
    await refusalOf(accounts.getAccount({}, { metadata: bearer(`${token}x`) }));
    await refusalOf(accounts.getAccount({}, { metadata: bearer(grant) }));
    await refusalOf(sessions.login({ bank: 'alpha', username: 'alice', password: PASSWORDS.alice }, { metadata: bearer(token) }));
    await refusalOf(transfers.getTransfer({ id: token }, { metadata: bearer(token) }));
    await refusalOf(accounts.listEntries({ pageToken: grant }, { metadata: bearer(token) }));
    await refusalOf(callers.send(addresses.g1, 'client/dev', '/strife.gateway.v1.SessionService/Login', Buffer.from(`\x0f${PASSWORDS.alice}`)));
    const bank = await callers.client(BankServiceDefinition, addresses.alpha, 'gateway/g1');
    await refusalOf(bank.getAccount({ grant: `${grant}x` }));
    await refusalOf(bank.authenticate({ username: 'alice', password: PASSWORDS.wrong }));
    await refusalOf(bank.getTransfer({ grant, transferId: Buffer.from('short') }));
    const participant = await callers.client(ParticipantServiceDefinition, addresses.alpha, 'gateway/g1');
    await participant.prepare({ logId: 'g1.log', grants: [`${grant}x`], legs: [{ side: Side.DEBIT }] });
    const operator = await callers.client(AdminServiceDefinition, addresses.alpha, 'operator/root');
    await operator.openAccount({ username: 'eve', password: PASSWORDS.opened, currency: 'EUR', openingMinor: 0n });
    await refusalOf(operator.openAccount({ username: 'eve', password: PASSWORDS.opened, currency: 'EUR', openingMinor: 0n }));
  });

  it('are in no line that any service wrote', async () => {
    await expectCleanBooks({ directories: directories(), banks: { alpha: {}, beta: {} } as never, gateways: { g1: {} } as never });
    for (const run of Object.values(runs)) expect(await run.stop()).toEqual({ code: 0, signal: null });
    for (const name of ['bank-alpha', 'bank-beta', 'gateway-g1']) {
      const keys = JSON.parse(await readFile(join(root, 'data', `${name}.jwk`), 'utf8')) as { keys: { d: string }[] };
      canaries.set(`signing key of ${name}`, keys.keys[0]!.d);
    }
    const outputs = new Map(Object.entries(runs).flatMap(([name, run]) => [[`stdout of ${name}`, run.stdout()], [`stderr of ${name}`, run.stderr()]]));
    for (const file of await readdir(join(root, 'logs'))) outputs.set(file, await readFile(join(root, 'logs', file), 'utf8'));

    expect([...outputs.keys()].filter((name) => name.endsWith('.log')).toSorted()).toEqual(['bank-alpha.log', 'bank-beta.log', 'gateway-g1.log']);
    // What is searched must hold what happened, or finding nothing would mean nothing.
    for (const [name, text] of outputs) if (!name.startsWith('stderr')) expect([name, text]).toEqual([name, expect.stringContaining('rpc')]);
    const found = [...outputs].flatMap(([name, text]) => needles().filter(([, needle]) => text.includes(needle)).map(([what]) => `${what} in ${name}`));
    expect(found).toEqual([]);
    expect([...outputs].filter(([name]) => name.startsWith('stderr')).map(([, text]) => text)).toEqual(['', '', '']);
  });
});
