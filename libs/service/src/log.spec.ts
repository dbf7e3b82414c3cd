// The log: one line a call, and never a secret, wherever it comes from.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ParticipantServiceDefinition } from '@strife/stubs/bank';
import { Metadata } from 'nice-grpc';
import { createCallLog } from './call-log.ts';
import { closeLogger, createLogger, rpcError, Status, summarizeTransferIds } from './index.ts';
import { startLocalServer } from './local-server.spec-kit.ts';

const CANARY = 'canary-7f3a';
const REFRESH = `${CANARY.padEnd(22, '-')}.7.${CANARY.padEnd(43, '_')}`;
const JWT = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl-canary-7f3a';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'strife-log-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

async function logged(write: (logger: ReturnType<typeof createLogger>) => void): Promise<string> {
  const logger = createLogger({ service: 'test', directory, level: 'info', terminal: false });
  write(logger);
  await closeLogger(logger);
  return readFile(join(directory, 'test.log'), 'utf8');
}

describe('a call', () => {
  it('is one line with method, peer, status, duration, request id and counts', async () => {
    const bank = await startLocalServer({ handlers: { listEntries: async () => ({ entries: [{}, {}] }) } });
    await (await bank.bank()).listEntries({ pageSize: 2 }, { metadata: Metadata({ 'x-request-id': 'r1' }) });
    const lines = (await bank.logLines()).filter(({ message }) => message === 'rpc');
    expect(lines).toEqual([
      {
        timestamp: expect.any(String),
        level: 'info',
        service: 'bank-alpha',
        message: 'rpc',
        method: '/strife.bank.v1.BankService/ListEntries',
        peer: 'spiffe://strife.local/gateway/g1',
        status: 'OK',
        duration_ms: expect.any(Number),
        request_id: 'r1',
        request_bytes: 2,
        response_bytes: expect.any(Number),
        entries_count: 2,
      },
    ]);
    await bank.close();
  });

  it('leaves no password, grant or token in the log, whether it succeeds, fails or breaks', async () => {
    const bank = await startLocalServer({
      handlers: {
        authenticate: async () => ({ account: 'alice', grant: `grant-${CANARY}`, refreshToken: REFRESH }),
        refreshGrant: async () => Promise.reject(rpcError({ code: Status.UNAUTHENTICATED, message: `refresh_token: not ${REFRESH}`, reason: 'REFRESH_TOKEN_INVALID' })),
        listEntries: async () => Promise.reject(Object.assign(new Error(`bad token Bearer ${JWT}`), { grant: CANARY, cause: { password: CANARY } })),
        getTransfer: async () => Promise.reject(rpcError({ code: Status.UNAUTHENTICATED, message: `forged: ${JWT}`, reason: 'BAD_TOKEN' })),
      },
    });
    const client = await bank.bank();
    const metadata = Metadata({ authorization: `Bearer ${JWT}` });
    await client.authenticate({ username: 'alice', password: `password-${CANARY}` }, { metadata });
    await client.refreshGrant({ refreshToken: REFRESH, requestId: 'request' }).catch(() => undefined);
    await client.listEntries({ grant: CANARY }, { metadata }).catch(() => undefined);
    await client.getTransfer({ grant: CANARY }, { metadata }).catch(() => undefined);
    const lines = (await bank.logLines()).filter(({ message }) => message === 'rpc');
    expect(lines.map(({ status }) => status)).toEqual(['OK', 'UNAUTHENTICATED', 'INTERNAL', 'UNAUTHENTICATED']);
    expect(JSON.stringify(lines)).not.toContain('canary');
    await bank.close();
  });

  it('shows what the summary of its method says; a summary that throws harms nothing', async () => {
    const path = (method: string) => `/strife.bank.v1.BankService/${method}`;
    const bank = await startLocalServer({
      summarize: {
        [path('GetTransfer')]: (request) => summarizeTransferIds([(request as { transferId: Uint8Array }).transferId]),
        [path('GetAccount')]: () => {
          throw new Error('no summary');
        },
      },
    });
    const client = await bank.bank();
    await client.getTransfer({ transferId: Buffer.from('0193a5f0c0de7000800000000000abcd', 'hex') });
    await client.getAccount({});
    const lines = (await bank.logLines()).filter(({ message }) => message === 'rpc');
    expect(lines).toMatchObject([
      { transfers: 1, transfer_ids: ['0193a5f0-c0de-7000-8000-00000000abcd'] },
      { status: 'OK', summary_failed: 'no summary' },
    ]);
    await bank.close();
  });

  it('is summarized when its line is made, and not while its caller waits', async () => {
    let summaries = 0;
    const text = await logged((logger) => {
      const log = createCallLog({ logger, quietServices: [], summarize: { '/a.B/C': () => ({ summaries: (summaries += 1) }) } });
      log.succeeded({ method: '/a.B/C', peer: 'p', requestId: 'r', startedAtMs: performance.now(), request: {} });
      expect(summaries).toBe(0);
    });
    expect(JSON.parse(text)).toMatchObject({ method: '/a.B/C', status: 'OK', summaries: 1 });
  });

  it('shows at most three transfer ids', () => {
    expect(ParticipantServiceDefinition.methods.prepare.name).toBe('Prepare');
    expect(summarizeTransferIds(['a', 'b', 'c', 'd'])).toEqual({ transfers: 4, transfer_ids: ['a', 'b', 'c'] });
  });
});

describe('a logger', () => {
  it('drops secret fields at any depth, whatever their spelling', async () => {
    const text = await logged((logger) =>
      logger.info('x', {
        password: CANARY,
        nested: { accessToken: CANARY, list: [{ private_key: CANARY, Authorization: CANARY }], grants: [CANARY] },
        clientSecret: CANARY,
        kept: 'kept',
        bytes: Buffer.from(CANARY),
        amount: 5n,
        token_count: 3,
      }),
    );
    expect(text).not.toContain(CANARY);
    expect(JSON.parse(text)).toMatchObject({ kept: 'kept', bytes: '[11 bytes]', amount: '5', token_count: 3, nested: { list: [{}] } });
  });

  it('says so of a line that cannot be made, and writes those around it', async () => {
    const broken = { get field() { throw new RangeError(CANARY); } };
    const text = await logged((logger) => ['one', 'two', 'three'].forEach((message, index) => logger.info(message, { nested: index === 1 ? broken : {} })));
    const lines = text.trim().split('\n').map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([{ message: 'one' }, { level: 'info', service: 'test', message: 'a line could not be logged', reason: 'RangeError' }, { message: 'three' }]);
    expect(text).not.toContain(CANARY);
  });

  it('blots out tokens and private keys inside texts', async () => {
    const key = `-----BEGIN PRIVATE KEY-----\n${CANARY}\n-----END PRIVATE KEY-----`;
    const text = await logged((logger) => logger.warn(`got Bearer ${CANARY} and ${JWT} and "${REFRESH}"`, { error: new Error(`cannot use ${key}`) }));
    expect(text).not.toContain(CANARY);
    expect(text.split('[redacted]').length).toBeGreaterThanOrEqual(5);
  });

  it('survives cycles, deep nesting and huge texts', async () => {
    const cycle: Record<string, unknown> = { text: 'a'.repeat(100_000) };
    cycle['self'] = cycle;
    const text = await logged((logger) => logger.info('x', { cycle, many: Array.from({ length: 1_000 }, (_, index) => index) }));
    expect(text.length).toBeLessThan(100_000);
    expect(JSON.parse(text)).toMatchObject({ many: expect.arrayContaining(['[900 more]']) });
  });

  it('has everything in the file once it is closed, and appends to what was there', async () => {
    await logged((logger) => logger.info('first'));
    const text = await logged((logger) => {
      for (let line = 0; line < 2_000; line += 1) logger.info('line', { line });
    });
    expect(text.trimEnd().split('\n')).toHaveLength(2_001);
    expect(await readdir(directory)).toEqual(['test.log']);
  });

  it('says at start that its file cannot be written', async () => {
    await writeFile(join(directory, 'file'), '');
    const options = { service: 'test', directory: join(directory, 'file'), level: 'info', terminal: false } as const;
    expect(() => createLogger(options)).toThrow(expect.objectContaining({ name: 'StartupError', message: expect.stringContaining('cannot write the log') }));
  });
});
