// strife.gateway.v1.TransferService: checks, hands to the coordinator, says what came of it.

import type { SessionContext } from '@strife/auth';
import { declineReasonFromWire, declineReasonToWire, parseTransferId, transferIdFromWire, transferIdToWire } from '@strife/service';
import type { TransferRecord } from '@strife/stubs/bank';
import { WaitFor } from '@strife/stubs/gateway';
import type {
  BatchCreateTransfersRequest, BatchCreateTransfersResponse, CreateTransferRequest, CreateTransferResponse, DeepPartial, GetTransferRequest,
  GetTransferResponse, ListTransfersRequest, ListTransfersResponse, Transfer, TransferServiceImplementation,
} from '@strife/stubs/gateway';
import { DeclineReason, TransferState } from '@strife/stubs/type';
import { banksOf, fingerprintOf } from '@strife/two-phase-commit';
import type { AccountName, Clock, Coordinator, DecisionLog, DecisionRow, Order, TransferRequest, TransferResult } from '@strife/two-phase-commit';
import type { CallContext } from 'nice-grpc-common';
import { ServerError, Status } from 'nice-grpc-common';
import type { BankNetwork } from './bank-network.ts';
import { callBank } from './bank-calls.ts';
import { invalidArgument, mismatchFailure, noSuchTransfer, notAppliedFailure, revocationsStale, toRpcError, toWireFailure, unknownBank, unknownBecause, unknownOutcome } from './failures.ts';
import type { NotApplied } from './failures.ts';
import type { PaymentOutcome } from './gateway-metrics.ts';
import { checkTransferRequest, expiryOf } from './transfer-requests.ts';
import type { Checked } from './transfer-requests.ts';

export const BATCH_ITEMS_MAX = 1000;

export interface TransferApiOptions {
  readonly coordinator: Coordinator;
  readonly log: DecisionLog;
  readonly network: BankNetwork;
  readonly clock: Clock;
  /** Whether this gateway knows who has logged out. Without that it takes no payments; reads go on. */
  readonly areRevocationsFresh: () => boolean;
  /** Told how the payments of a call ended. */
  readonly count: (outcomes: readonly PaymentOutcome[]) => void;
}

type Context = CallContext & SessionContext;

/** All but the timeline, which is in explain-api.ts. What payments are answered with is whole, so that nothing needs to copy it. */
export type TransferApi = Omit<TransferServiceImplementation<SessionContext>, 'explainTransfer' | 'createTransfer' | 'batchCreateTransfers'> & {
  createTransfer(request: CreateTransferRequest, context: Context): Promise<CreateTransferResponse>;
  batchCreateTransfers(request: BatchCreateTransfersRequest, context: Context): Promise<BatchCreateTransfersResponse>;
};

export function createTransferApi({ coordinator, log, network, clock, areRevocationsFresh, count }: TransferApiOptions): TransferApi {
  /** What came of each item, in order. */
  async function createAll(items: readonly CreateTransferRequest[], context: Context): Promise<readonly Checked<Transfer>[]> {
    const { session } = context;
    const nowMs = clock.nowMs();
    const orders: Order[] = [];
    /** What is wrong with those that no order is made of, by their indexes. */
    const wrong = new Map<number, Checked<never>>();
    items.forEach((item, index) => {
      const checked = check(item, session.account, nowMs);
      if (checked.kind === 'ok') orders.push(orderOf(checked.value, item));
      else wrong.set(index, checked);
    });
    const results = await coordinator.createAll(orders, session.grant);
    const conflicts: Promise<void>[] = [];
    let answered = 0;
    const created = items.map(({ earlierSendsAnswered }, index): Checked<Transfer> => {
      const refused = wrong.get(index);
      if (refused !== undefined) return refused;
      const { request } = orders[answered]!;
      const result = results[answered++]!;
      if (result.kind === 'mismatch') conflicts.push(conflict(request, result.field, context).then((known) => void (created[index] = known)));
      return outcomeOf(request, result, earlierSendsAnswered);
    });
    await Promise.all(conflicts);
    return created;
  }

  function check(item: CreateTransferRequest, payer: AccountName, nowMs: number): Checked<TransferRequest> {
    const checked = checkTransferRequest(item, payer, nowMs);
    if (checked.kind === 'wrong') return checked;
    const { bank } = checked.value.body.to;
    return network.find(bank) === 'unknown' ? { kind: 'wrong', failure: unknownBank('to.bank', bank) } : checked;
  }

  /**
   * What to say when the id is taken, as far as this gateway knows. It is proved by a committed row at a bank that this transfer needs, too:
   * there the id is another transfer's for ever. And by a row of this very transfer, which was aborted because a bank has another one. Any
   * other row proves nothing: what a bank applied by itself, or for another gateway, has no row here, and a later attempt at something else
   * under its id may have left one, also by somebody who was paid and so has seen the id. Whether the id belongs to this very transfer is
   * then for the payer's bank to say.
   */
  async function conflict(request: TransferRequest, field: string, context: Context): Promise<Checked<Transfer>> {
    const taken: Checked<Transfer> = { kind: 'wrong', failure: mismatchFailure(field) };
    const [row] = await log.find([request.id]);
    if (row !== undefined && (row.fingerprint === request.fingerprint || isCommittedAtBankOf(request, row))) return taken;
    let record: TransferRecord | undefined;
    try {
      record = await bankRecord(request.id, context);
    } catch (error) {
      return error instanceof ServerError && error.code === Status.NOT_FOUND ? taken : { kind: 'wrong', failure: unknownOutcome };
    }
    if (record === undefined || !isAbout(record, request)) return taken;
    if (record.state === TransferState.PENDING) return { kind: 'wrong', failure: unknownOutcome };
    return { kind: 'ok', value: { ...transferOfRecord(record), replayed: true } };
  }

  async function bankRecord(id: string, context: Context): Promise<TransferRecord | undefined> {
    const { grant, account } = context.session;
    const reply = await callBank(network, account.bank, context, (bank, options) => bank.getTransfer({ grant, transferId: transferIdToWire(id) }, options));
    return reply.transfer;
  }

  /** The stored outcome, for the payer alone. */
  async function fromLog(id: string, { session }: Context): Promise<Transfer | undefined> {
    const [row] = await log.find([id]);
    const running = coordinator.running(id);
    const request = row !== undefined && row.verdict.outcome !== 'aborted' ? row : running;
    if (request === undefined || request.body.from.bank !== session.account.bank || request.body.from.account !== session.account.account) return undefined;
    const transfer = transferOf(request);
    if (row === undefined || row.verdict.outcome === 'aborted') return { ...transfer, state: TransferState.PENDING };
    const decidedAtUnixMs = BigInt(row.decidedAtMs);
    if (row.verdict.outcome === 'committed') return { ...transfer, state: TransferState.SUCCEEDED, decidedAtUnixMs };
    return { ...transfer, state: TransferState.DECLINED, declineReason: declineReasonToWire(row.verdict.reason), decidedAtUnixMs };
  }

  return {
    async createTransfer(request: CreateTransferRequest, context: Context): Promise<CreateTransferResponse> {
      if (!areRevocationsFresh()) throw toRpcError(revocationsStale(request.earlierSendsAnswered), request.id.length <= 64 ? request.id : undefined);
      const [created] = (await createAll([request], context)) as [Checked<Transfer>];
      count([paymentOutcome(created)]);
      if (created.kind === 'wrong') throw toRpcError(created.failure, request.id.length <= 64 ? request.id : undefined);
      return { transfer: created.value };
    },

    async batchCreateTransfers({ items }: BatchCreateTransfersRequest, context: Context): Promise<BatchCreateTransfersResponse> {
      if (!areRevocationsFresh()) throw toRpcError(revocationsStale(items.every(({ earlierSendsAnswered }) => earlierSendsAnswered)));
      if (items.length === 0 || items.length > BATCH_ITEMS_MAX) {
        throw toRpcError(invalidArgument('items', 'BATCH_SIZE', `must be 1 to ${BATCH_ITEMS_MAX}, not ${items.length}`));
      }
      const created = await createAll(items, context);
      count(created.map(paymentOutcome));
      return {
        results: created.map((item, index) => ({
          result:
            item.kind === 'ok'
              ? { $case: 'transfer', value: item.value }
              : { $case: 'failure', value: toWireFailure(item.failure, items[index]!.id.slice(0, 64)) },
        })),
      };
    },

    async getTransfer(request: GetTransferRequest, context: Context): Promise<DeepPartial<GetTransferResponse>> {
      const id = parseTransferId(request.id);
      if (id === undefined) throw toRpcError(invalidArgument('id', 'MALFORMED_ID', 'must be a UUID'));
      const known = await fromLog(id, context);
      if (known !== undefined) return { transfer: known };
      const record = await bankRecord(id, context);
      if (record === undefined) throw toRpcError({ ...noSuchTransfer, message: `id: no transfer ${id} of yours` });
      return { transfer: transferOfRecord(record) };
    },

    async listTransfers({ pageSize, pageToken }: ListTransfersRequest, context: Context): Promise<DeepPartial<ListTransfersResponse>> {
      const { grant, account } = context.session;
      const page = await callBank(network, account.bank, context, (bank, options) => bank.listTransfers({ grant, pageSize, pageToken }, options));
      return { transfers: page.transfers.map(transferOfRecord), nextPageToken: page.nextPageToken };
    },
  };
}

function orderOf(request: TransferRequest, item: CreateTransferRequest): Order {
  return { request, waitFor: item.waitFor === WaitFor.DECIDED ? 'decided' : 'settled', expiresAtMs: expiryOf(item) };
}

function paymentOutcome(created: Checked<Transfer>): PaymentOutcome {
  if (created.kind === 'wrong') return created.failure;
  const { state, declineReason } = created.value;
  return state === TransferState.DECLINED ? { outcome: 'declined', reason: declineReasonFromWire(declineReason) ?? '' } : success;
}

const success: PaymentOutcome = { outcome: 'succeeded', reason: '' };

function outcomeOf(request: TransferRequest, result: TransferResult, earlierSendsAnswered: boolean): Checked<Transfer> {
  switch (result.kind) {
    case 'succeeded':
    case 'declined': {
      const transfer = transferOf(request);
      const { replayed, createdAtMs, decidedAtMs = request.createdAtMs } = result;
      if (createdAtMs !== undefined) transfer.createdAtUnixMs = BigInt(createdAtMs);
      transfer.decidedAtUnixMs = BigInt(decidedAtMs);
      transfer.replayed = replayed;
      transfer.state = result.kind === 'succeeded' ? TransferState.SUCCEEDED : TransferState.DECLINED;
      if (result.kind === 'declined') transfer.declineReason = declineReasonToWire(result.reason);
      return { kind: 'ok', value: transfer };
    }
    case 'not-applied':
      return { kind: 'wrong', failure: earlierSendsAnswered || isKnownHere(request, result.why) ? notAppliedFailure(result.why) : unknownBecause(result.why) };
    case 'mismatch':
      return { kind: 'wrong', failure: mismatchFailure(result.field) };
    case 'unknown':
      return { kind: 'wrong', failure: unknownOutcome };
  }
}

/**
 * Whether "not applied" also holds for earlier sends of the id. Between banks the decision log knows them. A transfer inside
 * one bank has no row: where the bank did not look the id up this time, it may have applied it before.
 */
function isKnownHere({ body }: TransferRequest, why: NotApplied): boolean {
  return body.from.bank !== body.to.bank || !notLookedUp.has(why);
}

const notLookedUp: ReadonlySet<NotApplied> = new Set<NotApplied>(['unreachable', 'overloaded', 'unauthorized', 'invalid']);

function transferOf({ id, body, createdAtMs }: TransferRequest): Transfer {
  const { from, to, currency, amountMinor, memo } = body;
  return {
    id, from, to, memo,
    amount: { currency, minorUnits: amountMinor },
    state: TransferState.UNSPECIFIED,
    declineReason: DeclineReason.UNSPECIFIED,
    replayed: false,
    createdAtUnixMs: BigInt(createdAtMs),
    decidedAtUnixMs: 0n,
  };
}

/** Whether a bank of this transfer has committed another one under its id. */
function isCommittedAtBankOf({ body }: TransferRequest, row: DecisionRow): boolean {
  const banks = banksOf(row.body);
  return row.verdict.outcome === 'committed' && banksOf(body).some((bank) => banks.includes(bank));
}

/** Whether the bank's record is of the transfer that is asked for, in every field. */
function isAbout({ from, to, amount, memo }: TransferRecord, { fingerprint }: TransferRequest): boolean {
  if (from === undefined || to === undefined || amount === undefined) return false;
  return fingerprintOf({ from, to, currency: amount.currency, amountMinor: amount.minorUnits, memo }) === fingerprint;
}

function transferOfRecord(record: TransferRecord): Transfer {
  const { transferId, from, to, amount, memo, state, declineReason, preparedAtUnixMs, endedAtUnixMs } = record;
  return {
    id: transferIdFromWire(transferId),
    from, to, amount, memo, state,
    declineReason: declineReasonFromWire(declineReason) === undefined ? DeclineReason.UNSPECIFIED : declineReason,
    replayed: false,
    createdAtUnixMs: preparedAtUnixMs,
    decidedAtUnixMs: endedAtUnixMs,
  };
}
