// A real gRPC server on port 0 with real mutual TLS, whose bank is in memory and whose faults a test chooses.

import { ServerCredentials } from '@grpc/grpc-js';
import { createServer, type CallContext, type ServerMiddlewareCall } from 'nice-grpc';
import { errorDetailsServerMiddleware, ErrorInfo, RichServerError } from 'nice-grpc-error-details';
import {
  AccountServiceDefinition,
  SessionServiceDefinition,
  TransferEventKind,
  TransferServiceDefinition,
  type AccountServiceImplementation,
  type CreateTransferRequest,
  type SessionServiceImplementation,
  type Transfer,
  type TransferResult,
  type TransferServiceImplementation,
} from '@strife/stubs/gateway';
import { Outcome } from '@strife/stubs/type';
import { createAuthority, spiffeUri, type Authority, type TlsMaterial } from '@strife/certs';
import { accountName, testBank, type TestBank, type TestLogin } from './test-bank.ts';

/** Done in place of a call, which `proceed` would make. What it returns is the response. */
export type Fault = (proceed: () => Promise<unknown>, context: CallContext) => Promise<unknown>;

export interface TestGateway {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  readonly port: number;
  readonly bank: TestBank;
  readonly authority: Authority;
  /** A client's certificate from the same authority. */
  readonly tls: TlsMaterial;
  /** The methods that were called, in order: `createTransfer`. */
  readonly calls: string[];
  /** The bodies of the payments that arrived, in order, those of batches too. */
  readonly payments: CreateTransferRequest[];
  /** The next call of the method meets this fault; call again for the one after. */
  failNext(method: string, fault: Fault): void;
  /** Answers to messages with a payment to that bank wait until it is released, as a gateway waits for a slow bank. */
  slowDown(bankName: string): { release(): void };
  /** Drops the faults that no call has met. */
  heal(): void;
  /** Ends all connections at once, as a killed process does. */
  kill(): void;
}

export interface TestGatewayOptions {
  authority?: Authority;
  bank?: TestBank;
  /** Default: any free one. */
  port?: number;
  /** What its certificate says; default `gateway/test`. */
  identity?: string;
}

export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const authority = options.authority ?? (await createAuthority());
  const bank = options.bank ?? testBank();
  const own = await authority.issue({ uris: [spiffeUri(options.identity ?? 'gateway/test')] });
  const calls: string[] = [];
  const payments: CreateTransferRequest[] = [];
  const faults = new Map<string, Fault[]>();
  const slow: SlowBanks = new Map();

  const server = createServer().use(errorDetailsServerMiddleware).use(faulty(calls, faults));
  server.add(SessionServiceDefinition, sessionService(bank));
  server.add(AccountServiceDefinition, accountService(bank));
  server.add(TransferServiceDefinition, transferService(bank, payments, slow));
  const pair = { private_key: Buffer.from(own.key), cert_chain: Buffer.from(own.cert) };
  const credentials = ServerCredentials.createSsl(Buffer.from(own.ca), [pair], true);
  const port = await server.listen(`127.0.0.1:${options.port ?? 0}`, credentials);
  return {
    address: `127.0.0.1:${port}`,
    port,
    bank,
    authority,
    tls: await authority.issue({ uris: [spiffeUri('client/test')] }),
    calls,
    payments,
    failNext(method, fault) {
      faults.set(method, [...(faults.get(method) ?? []), fault]);
    },
    slowDown(bankName) {
      const { promise, resolve } = Promise.withResolvers<void>();
      slow.set(bankName, promise);
      return {
        release() {
          slow.delete(bankName);
          resolve();
        },
      };
    },
    heal: () => faults.clear(),
    kill: () => server.forceShutdown(),
  };
}

function faulty(calls: string[], faults: Map<string, Fault[]>) {
  return async function* faultyMiddleware<Request, Response>(
    call: ServerMiddlewareCall<Request, Response>,
    context: CallContext,
  ): AsyncGenerator<Response, Response | void, undefined> {
    const name = call.method.path.split('/').at(-1) ?? '';
    const method = name.charAt(0).toLowerCase() + name.slice(1);
    calls.push(method);
    const fault = faults.get(method)?.shift();
    if (!fault || call.requestStream) return yield* call.next(call.request as Request, context);
    const proceed = async (): Promise<unknown> => (await call.next(call.request, context).next()).value;
    return (await fault(proceed, context)) as Response;
  };
}

/** Answers never: until the client gives up, or the gateway is killed. */
export const hang: Fault = (_proceed, context) =>
  new Promise((_resolve, reject) => {
    context.signal.addEventListener('abort', () => reject(context.signal.reason));
  });

function sessionService(bank: TestBank): SessionServiceImplementation {
  return {
    async login({ bank: bankName, username, password }) {
      return loginAnswer(bank.login(`${bankName}/${username}`, password));
    },
    async refresh({ refreshToken, requestId }) {
      return loginAnswer(bank.refresh(refreshToken, requestId));
    },
    async logout(_request, context) {
      const token = tokenOf(context);
      bank.payer(token);
      bank.logout(token);
      return {};
    },
  };
}

function loginAnswer({ account, token, currency, expiresAtMs, refreshToken, refreshExpiresAtMs }: TestLogin) {
  return {
    token,
    expiresAtUnixMs: BigInt(expiresAtMs),
    account: accountName(account),
    currency,
    refreshToken,
    refreshExpiresAtUnixMs: BigInt(refreshExpiresAtMs),
  };
}

function accountService(bank: TestBank): AccountServiceImplementation {
  return {
    async getAccount(_request, context) {
      const name = bank.payer(tokenOf(context));
      const { posted, currency } = bank.accounts.get(name)!;
      const money = { currency, minorUnits: posted };
      return {
        balance: { account: accountName(name), posted: money, held: { currency, minorUnits: 0n }, available: money },
      };
    },
    async listEntries({ pageSize, pageToken }, context) {
      const { entries } = bank.accounts.get(bank.payer(tokenOf(context)))!;
      const page = cut(entries, pageSize, pageToken);
      return { entries: page.items, nextPageToken: page.nextPageToken };
    },
  };
}

/** By name: what an answer about the bank waits for. */
type SlowBanks = Map<string, Promise<void>>;

function transferService(bank: TestBank, payments: CreateTransferRequest[], slow: SlowBanks): TransferServiceImplementation {
  return {
    async createTransfer(request, context) {
      payments.push(request);
      const transfer = bank.pay(bank.payer(tokenOf(context)), request);
      await slow.get(request.to?.bank ?? '');
      return { transfer };
    },
    async batchCreateTransfers({ items }, context) {
      const payer = bank.payer(tokenOf(context));
      payments.push(...items);
      const results = items.map((item) => ({ result: batchResult(bank, payer, item) }));
      await Promise.all(items.map(({ to }) => slow.get(to?.bank ?? '') ?? Promise.resolve()));
      return { results };
    },
    async getTransfer({ id }, context) {
      bank.payer(tokenOf(context));
      return { transfer: existing(bank, id) };
    },
    async explainTransfer({ id }, context) {
      bank.payer(tokenOf(context));
      const transfer = existing(bank, id);
      return {
        transfer,
        events: [
          { atUnixMs: transfer.createdAtUnixMs, place: 'gateway test', kind: TransferEventKind.ATTEMPT, attempt: 1, detail: 'asks both banks' },
          { place: 'gateway test', kind: 99 as TransferEventKind, detail: 'something new' },
        ],
        missing: [{ place: 'bank beta', detail: 'bank beta cannot be reached' }],
      };
    },
    async listTransfers({ pageSize, pageToken }, context) {
      const name = bank.payer(tokenOf(context));
      const own = [...bank.transfers.values()].filter(({ from }) => `${from?.bank}/${from?.account}` === name);
      const page = cut(own.reverse(), pageSize, pageToken);
      return { transfers: page.items, nextPageToken: page.nextPageToken };
    },
  };
}

function existing(bank: TestBank, id: string): Transfer {
  const transfer = bank.transfers.get(id);
  if (transfer) return transfer;
  throw new RichServerError(5, 'no such transfer', [
    ErrorInfo.fromPartial({ domain: 'strife', reason: 'NO_SUCH_TRANSFER', metadata: { field: 'id' } }),
  ]);
}

function batchResult(bank: TestBank, payer: string, item: CreateTransferRequest): TransferResult['result'] {
  try {
    return { $case: 'transfer', value: bank.pay(payer, item) };
  } catch (error) {
    if (!(error instanceof RichServerError)) throw error;
    const info = error.extra[0] as ErrorInfo;
    return {
      $case: 'failure',
      value: {
        code: error.code,
        message: error.details,
        reason: info.reason,
        field: info.metadata['field'] ?? '',
        outcome: Outcome.NOT_APPLIED,
        retryable: false,
        transferId: item.id,
      },
    };
  }
}

function tokenOf(context: CallContext): string {
  return (context.metadata.get('authorization') ?? '').replace(/^Bearer /, '');
}

function cut<T>(items: readonly T[], pageSize: number, pageToken: string): { items: T[]; nextPageToken: string } {
  const start = Number(pageToken || 0);
  const end = start + pageSize;
  return { items: items.slice(start, end), nextPageToken: end < items.length ? String(end) : '' };
}
