// What a caller and a handler get around a call: request ids, errors with details, added context.
import { afterEach, describe, expect, it } from '@jest/globals';
import { BankServiceDefinition } from '@strife/stubs/bank';
import { createClientFactory, Metadata } from 'nice-grpc';
import { ServerError } from 'nice-grpc-common';
import { errorDetailsClientMiddleware, type RichClientError } from 'nice-grpc-error-details';
import { createClient, createPeerChannel, createServiceServer, fixedTls, rpcError, Status, type ServiceContext } from './index.ts';
import { rejection, startLocalServer, type LocalServer } from './local-server.spec-kit.ts';

let bank: LocalServer;

afterEach(() => bank.close());

/** Calls GetAccount; gives the error with its details, and the request id of the trailing metadata. */
async function failure(metadata?: Metadata): Promise<{ error: RichClientError; requestId: string | undefined }> {
  let requestId: string | undefined;
  const client = createClientFactory().use(errorDetailsClientMiddleware).create(BankServiceDefinition, await bank.channel());
  const call = client.getAccount({}, { ...(metadata === undefined ? {} : { metadata }), onTrailer: (trailer) => (requestId = trailer.get('x-request-id')) });
  return { error: (await rejection(call)) as unknown as RichClientError, requestId };
}

/** The details without the machinery around them. */
function detailsOf(error: RichClientError): unknown {
  return JSON.parse(JSON.stringify(error.extra));
}

describe('an error of a handler', () => {
  it('reaches the caller with status, reason, field, outcome and ids', async () => {
    bank = await startLocalServer({
      getAccount: async () => {
        throw rpcError({
          code: Status.INVALID_ARGUMENT,
          message: 'amount.minor_units: must be above 0',
          reason: 'INVALID_AMOUNT',
          field: 'amount.minor_units',
          outcome: 'not_applied',
          retryable: false,
          transferId: 't-1',
        });
      },
    });
    const { error, requestId } = await failure();
    expect(error).toMatchObject({ code: Status.INVALID_ARGUMENT, details: 'amount.minor_units: must be above 0' });
    expect(detailsOf(error)).toMatchObject([
      {
        domain: 'strife',
        reason: 'INVALID_AMOUNT',
        metadata: { field: 'amount.minor_units', outcome: 'not_applied', retryable: 'false', transfer_id: 't-1', request_id: requestId },
      },
      { fieldViolations: [{ field: 'amount.minor_units', description: 'amount.minor_units: must be above 0' }] },
    ]);
  });

  it('gets its status as the reason when it has no details', async () => {
    bank = await startLocalServer({
      getAccount: async () => {
        throw new ServerError(Status.UNAUTHENTICATED, 'who are you?');
      },
    });
    const { error } = await failure();
    expect(detailsOf(error)).toMatchObject([{ reason: 'UNAUTHENTICATED' }]);
  });

  it('is cut, so that a long field in a message cannot break the answer', async () => {
    bank = await startLocalServer({
      getAccount: async () => {
        throw rpcError({ code: Status.INVALID_ARGUMENT, message: `memo: ${'💥'.repeat(1_000_000)}\ud800`, reason: 'INVALID_MEMO', field: 'memo' });
      },
    });
    const { error } = await failure();
    expect(error.code).toBe(Status.INVALID_ARGUMENT);
    expect(error.details).toMatch(/^memo: 💥+�?…$/u);
  });

  it('that several callers share keeps their request ids apart', async () => {
    const shared = rpcError({ code: Status.UNAVAILABLE, message: 'bank beta is down', reason: 'BANK_UNAVAILABLE' });
    bank = await startLocalServer({ getAccount: () => Promise.reject(shared) });
    for (const id of ['one', 'two']) {
      expect(detailsOf((await failure(Metadata({ 'x-request-id': id }))).error)).toMatchObject([{ metadata: { request_id: id } }]);
    }
  });

  it('must have a stable reason', () => {
    bank = { close: async () => undefined } as LocalServer;
    expect(() => rpcError({ code: Status.INTERNAL, message: 'm', reason: 'not stable' })).toThrow(TypeError);
  });
});

describe('a bug in a handler', () => {
  it('becomes INTERNAL with the request id; the stack is only in the log', async () => {
    bank = await startLocalServer({
      getAccount: async () => {
        throw new TypeError('cannot read properties of undefined (secret detail)');
      },
    });
    const { error, requestId } = await failure();
    expect(error).toMatchObject({ code: Status.INTERNAL, details: `internal error; request id ${requestId}` });
    expect(detailsOf(error)).toMatchObject([{ reason: 'INTERNAL', metadata: { outcome: 'unknown', request_id: requestId } }]);
    const lines = await bank.logLines();
    const line = lines.find(({ level }) => level === 'error');
    expect(line).toMatchObject({ message: 'rpc', request_id: requestId, error: { name: 'TypeError', stack: expect.stringContaining('calls.spec.ts') } });
  });

  it('includes an answer that cannot be encoded', async () => {
    bank = await startLocalServer({ getAccount: async () => ({ balance: { posted: { currency: 'EUR', minorUnits: 2n ** 70n } } }) });
    expect((await failure()).error.code).toBe(Status.INTERNAL);
    expect((await bank.logLines()).some(({ level }) => level === 'error')).toBe(true);
  });

  it('includes an AbortError that no caller asked for', async () => {
    bank = await startLocalServer({ getAccount: async () => AbortSignal.abort().throwIfAborted() as never });
    expect((await failure()).error.code).toBe(Status.INTERNAL);
  });
});

describe('a request id', () => {
  it.each([
    ['kept when it is well-formed', 'abc_123-X', (id: string | undefined) => id === 'abc_123-X'],
    ['replaced when it is too long', 'a'.repeat(65), (id: string | undefined) => id?.length === 36],
    ['replaced when it holds other characters', 'a b"c', (id: string | undefined) => id?.length === 36],
  ])('is %s', async (_what, given, expected) => {
    let seen: string | undefined;
    bank = await startLocalServer({
      getAccount: async (_request, context) => {
        seen = context.requestId;
        return {};
      },
    });
    let returned: string | undefined;
    await (await bank.bank()).getAccount({}, {
      metadata: Metadata({ 'x-request-id': given }),
      onTrailer: (trailer) => (returned = trailer.get('x-request-id')),
    });
    expect(expected(seen)).toBe(true);
    expect(returned).toBe(seen);
  });

  it('is another one for each call that comes without', async () => {
    const seen: string[] = [];
    bank = await startLocalServer({
      getAccount: async (_request, { requestId }: ServiceContext) => {
        seen.push(requestId);
        return {};
      },
    });
    const client = await bank.bank();
    await Promise.all([client.getAccount({}), client.getAccount({}), client.getAccount({})]);
    expect(new Set(seen).size).toBe(3);
    for (const id of seen) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  });
});

describe('the context of a unary call', () => {
  it('has the metadata of the caller, and takes headers and trailers for it', async () => {
    const seen: unknown[] = [];
    bank = await startLocalServer({
      getAccount: async (_request, { metadata, header, trailer }: ServiceContext) => {
        seen.push(metadata.get('X-One'), metadata.getAll('x-bytes-bin'), metadata.has('x-none'), metadata.get('x-none'), [...metadata].some(([key]) => key === 'x-one'));
        header.set('x-header', 'h');
        trailer.append('x-trailer', 'a').append('x-trailer', 'b').set('x-other-bin', Buffer.from('bytes'));
        return {};
      },
    });
    const told: unknown[] = [];
    await (await bank.bank()).getAccount({}, {
      metadata: Metadata({ 'x-one': ['1', '2'], 'x-bytes-bin': Buffer.from('bytes') }),
      onHeader: (header) => told.push(header.get('x-header')),
      onTrailer: (trailer) => told.push(trailer.get('x-trailer'), trailer.get('x-other-bin')?.toString()),
    });
    expect(seen).toEqual(['1, 2', [Buffer.from('bytes')], false, undefined, true]);
    expect(told).toEqual(['h', 'a, b', 'bytes']);
  });

  it('aborts its signal for a handler that only looks once the caller has gone, and not for an answered call', async () => {
    const answered: ServiceContext[] = [];
    const entered = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<ServiceContext>();
    const look = Promise.withResolvers<void>();
    bank = await startLocalServer({
      getAccount: async (_request, context) => {
        answered.push(context);
        return {};
      },
      handlers: {
        listEntries: async (_request, context) => {
          entered.resolve();
          await look.promise;
          gone.resolve(context);
          context.signal.throwIfAborted();
          return {};
        },
      },
    });
    const client = await bank.bank();
    await client.getAccount({});
    const abort = new AbortController();
    const call = rejection(client.listEntries({}, { signal: abort.signal }));
    await entered.promise;
    abort.abort();
    await call;
    // Sent after the cancellation, on the same connection.
    await client.getAccount({});
    look.resolve();
    expect((await gone.promise).signal.aborted).toBe(true);
    await client.getAccount({});
    expect(answered.map(({ signal }) => signal.aborted)).toEqual([false, false, false]);
    const line = (await bank.logLines()).find(({ method }) => method === '/strife.bank.v1.BankService/ListEntries');
    expect(line).toMatchObject({ level: 'warn', status: 'CANCELLED' });
  });
});

describe('createServiceServer', () => {
  it('gives handlers what a middleware adds, after the identity was checked', async () => {
    bank = await startLocalServer();
    const session = async (_path: string, context: ServiceContext) => ({ account: `of ${context.peer.name}` });
    const logger = { isLevelEnabled: () => false, info: () => undefined, warn: () => undefined } as never;
    const server = createServiceServer<{ account: string }>({
      name: 'b', host: '127.0.0.1', port: 0, logger, middleware: session,
      tls: fixedTls(await bank.certificate('bank/alpha')),
      access: { [BankServiceDefinition.fullName]: ['gateway'] },
    });
    const nothing = async () => ({});
    server.add(BankServiceDefinition, {
      authenticate: async (_request, context: ServiceContext & { account: string }) => ({ account: context.account }),
      refreshGrant: nothing, endSession: nothing, getAccount: nothing, listEntries: nothing, getTransfer: nothing, listTransfers: nothing, explainTransfer: nothing,
    });
    const { address } = await server.listen();
    const channel = createPeerChannel({ address, tls: await bank.certificate('gateway/g1'), expect: { role: 'bank' } });
    await expect(createClient(BankServiceDefinition, channel).authenticate({})).resolves.toMatchObject({ account: 'of g1' });
    channel.close();
    await server.stop(1_000);
  });

  it('says in one line that a port is in use', async () => {
    bank = await startLocalServer();
    const port = Number(bank.address.split(':')[1]);
    const second = createServiceServer({ name: 'b', host: '127.0.0.1', port, tls: fixedTls(await bank.certificate('bank/alpha')), logger: {} as never, access: {} });
    await expect(second.listen()).rejects.toMatchObject({ name: 'StartupError', message: `port ${port} on 127.0.0.1 is in use` });
  });
});
