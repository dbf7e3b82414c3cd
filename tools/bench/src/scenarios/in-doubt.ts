// Puts payments in doubt for good: legs that both banks prepared for a gateway that is gone, by raw Prepare calls with that gateway's
// certificate and real grants; and, on request, the gateway's decisions about them, written and not delivered.

import { DatabaseSync } from 'node:sqlite';
import { loadTls } from '@strife/certs';
import { newTransferId } from '@strife/sdk';
import { createClient, createPeerChannel, fingerprintToWire, transferIdToWire, type Channel } from '@strife/service';
import { openDecisionLog } from '@strife/storage';
import { BankServiceDefinition, Leg, ParticipantServiceDefinition, Side, VoteKind } from '@strife/stubs/bank';
import { fingerprintOf, mayReplace, type Proposal } from '@strife/two-phase-commit';
import { GATEWAY, PAYEE_BANK, PAYER_BANK } from '../books/make-books.ts';
import { PASSWORD, payerNames, type Stage } from '../stage.ts';

const LEGS_IN_CALL = 2_000;
const CALLS_AT_ONCE = 2;
const PAYERS = 16;
/** When the gateway would have given the attempts up: it is over when this is done. */
const DEADLINE_AFTER_MS = 1_000;
const DECISIONS_IN_BATCH = 5_000;
const POLL_EVERY_MS = 20;
const SETTLE_TIMEOUT_MS = 10 * 60 * 1000;

/** A bank, as a gateway sees it. */
interface BankLink {
  readonly name: string;
  readonly channel: Channel;
}

/**
 * The gateway is dead when this returns, and both banks hold every payment prepared.
 *
 * @throws Error when a bank votes anything but yes
 */
export async function putInDoubt({ cluster, files, plan }: Stage, payments: number): Promise<Proposal[]> {
  const tls = await loadTls(cluster.directories.certs, `gateway/${GATEWAY}`);
  await cluster.service(GATEWAY).kill('SIGKILL');
  const logId = logIdOf(files.gateway);
  const link = (name: string): BankLink => ({
    name, channel: createPeerChannel({ address: cluster.service(name).address, tls, expect: { role: 'bank', name } }),
  });
  const [payerBank, payeeBank] = [link(PAYER_BANK), link(PAYEE_BANK)];
  try {
    const payers = payerNames(PAYERS, plan.accounts);
    const grants = await grantsOf(payerBank, payers);
    const proposals = Array.from({ length: payments }, (_, index) => proposalOf(payers[index % PAYERS]!, `u${1 + (index % plan.accounts)}`));
    await Promise.all([prepareAll(payerBank, logId, proposals, grants), prepareAll(payeeBank, logId, proposals, undefined)]);
    await new Promise((resolve) => setTimeout(resolve, DEADLINE_AFTER_MS));
    return proposals;
  } finally {
    payerBank.channel.close();
    payeeBank.channel.close();
  }
}

/** Writes that all are committed into the log of the gateway, which must not run. */
export async function decideUndelivered({ files }: Stage, proposals: readonly Proposal[]): Promise<void> {
  const onFatal = (error: Error): never => {
    throw error;
  };
  const log = openDecisionLog({ file: files.gateway, gateway: GATEWAY, nowMs: Date.now, mayReplace, onFatal });
  try {
    for (let start = 0; start < proposals.length; start += DECISIONS_IN_BATCH) await log.decide(proposals.slice(start, start + DECISIONS_IN_BATCH), []);
  } finally {
    log.close();
  }
}

/** Resolves as soon as no bank has a leg in doubt. @throws Error when that takes too long */
export async function untilNothingInDoubt({ files }: Stage): Promise<void> {
  const banks = Object.values(files.banks).map((file) => new DatabaseSync(file, { readOnly: true }));
  try {
    const questions = banks.map((bank) => bank.prepare('SELECT 1 FROM all_legs WHERE state = 0 LIMIT 1'));
    const giveUpAt = performance.now() + SETTLE_TIMEOUT_MS;
    while (questions.some((question) => question.get() !== undefined)) {
      if (performance.now() > giveUpAt) throw new Error('payments stayed in doubt');
      await new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
    }
  } finally {
    for (const bank of banks) bank.close();
  }
}

function proposalOf(payer: string, payee: string): Proposal {
  const body = { from: { bank: PAYER_BANK, account: payer }, to: { bank: PAYEE_BANK, account: payee }, currency: 'EUR', amountMinor: 1n, memo: '' };
  return { id: newTransferId(), attempt: 1, fingerprint: fingerprintOf(body), body, createdAtMs: Date.now(), verdict: { outcome: 'committed' } };
}

async function prepareAll({ name, channel }: BankLink, logId: string, proposals: readonly Proposal[], grants: ReadonlyMap<string, string> | undefined): Promise<void> {
  const client = createClient(ParticipantServiceDefinition, channel);
  const names = [...(grants?.keys() ?? [])];
  let next = 0;
  const sendSome = async (): Promise<void> => {
    while (next < proposals.length) {
      const batch = proposals.slice(next, next + LEGS_IN_CALL);
      next += batch.length;
      const legs = batch.map((proposal) => legOf(proposal, grants === undefined ? Side.CREDIT : Side.DEBIT, names));
      const { votes } = await client.prepare({ logId, grants: [...(grants?.values() ?? [])], legs });
      const refused = votes.find(({ kind }) => kind !== VoteKind.YES);
      if (refused !== undefined || votes.length !== legs.length) throw new Error(`${name} did not prepare: vote ${refused?.kind} ${refused?.field}`);
    }
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, sendSome));
}

function legOf({ id, attempt, fingerprint, body }: Proposal, side: Side, payers: readonly string[]): Leg {
  return Leg.fromPartial({
    transferId: transferIdToWire(id), attempt, fingerprint: fingerprintToWire(fingerprint), side,
    payerAccount: body.from.account, payeeAccount: body.to.account, peerBank: side === Side.CREDIT ? body.from.bank : body.to.bank,
    currency: body.currency, amountMinor: body.amountMinor, memo: body.memo,
    deadlineUnixMs: BigInt(Date.now() + DEADLINE_AFTER_MS), grantIndex: side === Side.CREDIT ? 0 : payers.indexOf(body.from.account),
  });
}

async function grantsOf({ channel }: BankLink, payers: readonly string[]): Promise<Map<string, string>> {
  const bank = createClient(BankServiceDefinition, channel);
  const grants = new Map<string, string>();
  for (const username of payers) grants.set(username, (await bank.authenticate({ username, password: PASSWORD })).grant);
  return grants;
}

function logIdOf(file: string): string {
  const store = new DatabaseSync(file, { readOnly: true });
  try {
    return String(store.prepare('SELECT name FROM identity').get()?.['name']);
  } finally {
    store.close();
  }
}
