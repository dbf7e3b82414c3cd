// strife.gateway.v1.TransferService, the timeline of a transfer: who may see it, and asking both banks for their part.

import type { SessionContext } from '@strife/auth';
import { fingerprintToWire, parseTransferId, transferIdToWire } from '@strife/service';
import type { SqliteDecisionLog } from '@strife/storage';
import type { ExplainTransferResponse as BankResponse, LegStory } from '@strife/stubs/bank';
import type { ExplainTransferRequest, ExplainTransferResponse, TransferServiceImplementation } from '@strife/stubs/gateway';
import { banksOf, fingerprintOf } from '@strife/two-phase-commit';
import type { AccountName, BankName, Clock, Coordinator, Fingerprint, TransferBody, TransferId } from '@strife/two-phase-commit';
import type { CallContext } from 'nice-grpc-common';
import { ServerError, Status } from 'nice-grpc-common';
import { callBank } from './bank-calls.ts';
import type { BankNetwork } from './bank-network.ts';
import { invalidArgument, noSuchTransfer, toRpcError } from './failures.ts';
import type { GatewayPeers } from './gateway-peers.ts';
import { timelineOf } from './transfer-timeline.ts';
import type { BankStory } from './transfer-timeline.ts';

/** The two banks may have to be asked one after the other, and the answer is there within a second. */
const BANK_TIMEOUT_MS = 400;
const ATTEMPTS_MAX = 100;
const STARTS_MAX = 100;

export interface ExplainApiOptions {
  /** This gateway's name. */
  readonly gateway: string;
  readonly peers: Pick<GatewayPeers, 'others'>;
  readonly coordinator: Pick<Coordinator, 'running'>;
  readonly log: Pick<SqliteDecisionLog, 'logId' | 'history' | 'starts'>;
  readonly network: Pick<BankNetwork, 'find'>;
  readonly clock: Pick<Clock, 'nowMs'>;
}

type Context = Pick<CallContext, 'signal'> & SessionContext;

/** What is asked about, where it is known before a bank has spoken. */
interface Question {
  readonly id: TransferId;
  readonly fingerprint?: Fingerprint;
  readonly sinceMs: number;
  /** Only for the caller's own bank. */
  readonly grant?: string;
}

export function createExplainApi(options: ExplainApiOptions): Pick<TransferServiceImplementation<SessionContext>, 'explainTransfer'> {
  const { gateway, peers, coordinator, log, network, clock } = options;

  function ask(bank: BankName, { id, fingerprint, sinceMs, grant = '' }: Question, { signal }: Context): Promise<BankResponse> {
    const request = {
      transferId: transferIdToWire(id), grant, sinceUnixMs: BigInt(sinceMs),
      fingerprint: fingerprintToWire(fingerprint ?? ''),
    };
    const limited = { signal: AbortSignal.any([signal, AbortSignal.timeout(BANK_TIMEOUT_MS)]) };
    return callBank(network, bank, limited, (client, calling) => client.explainTransfer(request, calling));
  }

  /** The part of the banks that are not the caller's: no grant is theirs to check. */
  async function askOthers(body: TransferBody, question: Question, context: Context): Promise<[BankName, BankStory][]> {
    const others = banksOf(body).filter((bank) => bank !== context.session.account.bank);
    return Promise.all(others.map(async (bank): Promise<[BankName, BankStory]> => [bank, await ask(bank, question, context).then(told, missing)]));
  }

  return {
    async explainTransfer(request: ExplainTransferRequest, context: Context): Promise<ExplainTransferResponse> {
      const id = parseTransferId(request.id);
      if (id === undefined) throw toRpcError(invalidArgument('id', 'MALFORMED_ID', 'must be a UUID'));
      const { account, grant } = context.session;
      const history = log.history(id, ATTEMPTS_MAX);
      const running = history === undefined || history.row.verdict.outcome === 'aborted' ? coordinator.running(id) : undefined;
      // What this gateway was asked for under the id, if the caller has a part in it.
      const here = [history?.row, running].find((known) => known !== undefined && isParty(known.body, account));
      const sinceMs = here === undefined ? 0 : Math.min(...[here, ...(history?.earlier ?? [])].map(({ createdAtMs }) => createdAtMs));
      const question: Question = { id, sinceMs, ...(here === undefined ? {} : { fingerprint: here.fingerprint }) };

      const others = here === undefined ? undefined : askOthers(here.body, question, context);
      const own = await ask(account.bank, { ...question, grant }, context).then(told, (error: unknown) => {
        // Nobody else can say whether the caller has a part in it, or is still logged in.
        if (here === undefined || isRefusal(error)) throw error;
        return missing(error);
      });
      const body = bodyOf(own.kind === 'told' ? own.leg : undefined) ?? here?.body;
      if (body === undefined) throw toRpcError({ ...noSuchTransfer, message: `id: no transfer ${id} of yours` });

      const fingerprint = fingerprintOf(body);
      const isHere = here?.fingerprint === fingerprint;
      const since = isHere ? sinceMs : firstMoment(own);
      const stories = isHere && others !== undefined ? await others : await askOthers(body, { id, fingerprint, sinceMs: since }, context);
      return timelineOf({
        id, body, gateway,
        isForPayer: isSame(body.from, account),
        otherGateways: peers.others(),
        logId: log.logId,
        decided: history?.row.fingerprint === fingerprint ? history : undefined,
        running: running?.fingerprint === fingerprint ? running : undefined,
        startsSince: (atMs) => log.starts.since(atMs, STARTS_MAX),
        // The payer's bank first.
        banks: new Map(banksOf(body).map((bank) => [bank, bank === account.bank ? own : new Map(stories).get(bank)!])),
        nowMs: clock.nowMs(),
      });
    },
  };
}

function isParty({ from, to }: TransferBody, account: AccountName): boolean {
  return isSame(from, account) || isSame(to, account);
}

function isSame(one: AccountName, other: AccountName): boolean {
  return one.bank === other.bank && one.account === other.account;
}

type Told = BankStory & { readonly kind: 'told'; readonly leg: LegStory | undefined };

function told({ leg, starts }: BankResponse): Told {
  return { kind: 'told', leg, attempts: leg?.attempts ?? [], starts };
}

function missing(error: unknown): BankStory & { readonly kind: 'missing' } {
  return { kind: 'missing', detail: error instanceof ServerError ? error.details : 'did not answer' };
}

/** The bank has spoken against the caller. */
function isRefusal(error: unknown): boolean {
  return error instanceof ServerError && error.code === Status.UNAUTHENTICATED;
}

function bodyOf(leg: LegStory | undefined): TransferBody | undefined {
  const { from, to, amount, memo = '' } = leg?.terms ?? {};
  return from === undefined || to === undefined || amount === undefined ? undefined : { from, to, currency: amount.currency, amountMinor: amount.minorUnits, memo };
}

function firstMoment(story: BankStory): number {
  const [first] = story.kind === 'told' ? story.attempts : [];
  return Number(first === undefined ? 0 : first.preparedAtUnixMs > 0n ? first.preparedAtUnixMs : first.endedAtUnixMs);
}
