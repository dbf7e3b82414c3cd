// Whatever a verified peer sends: it gets the right status, no stack, and the server lives.
import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client, ChannelCredentials, type ServiceError } from '@grpc/grpc-js';
import fc from 'fast-check';
import { MESSAGE_BYTES_MAX, Status } from './index.ts';
import { rejection, startLocalServer, type LocalServer } from './local-server.spec-kit.ts';
import type { TlsMaterial } from './tls-source.ts';

const GET_ACCOUNT = '/strife.bank.v1.BankService/GetAccount';

let bank: LocalServer;
let tls: TlsMaterial;
let raw: Client;

beforeAll(async () => {
  const tooMuch = { balance: { account: { bank: 'alpha', account: 'x'.repeat(MESSAGE_BYTES_MAX) } } };
  bank = await startLocalServer({ getAccount: async (request) => (request.grant === 'too much' ? tooMuch : {}) });
  tls = await bank.certificate('gateway/g1');
  const credentials = ChannelCredentials.createSsl(Buffer.from(tls.ca), Buffer.from(tls.key), Buffer.from(tls.cert), { checkServerIdentity: () => undefined });
  raw = new Client(bank.address, credentials, { 'grpc.ssl_target_name_override': 'strife.local', 'grpc.max_send_message_length': -1 });
});

afterAll(async () => {
  raw.close();
  await bank.close();
});

/** Sends any bytes to any method; gives the status and the details. */
function send(path: string, bytes: Uint8Array): Promise<Pick<ServiceError, 'code' | 'details'>> {
  return new Promise((resolve) => {
    raw.makeUnaryRequest(path, (value: Buffer) => value, (value) => value, Buffer.from(bytes), (error) => {
      resolve({ code: error?.code ?? Status.OK, details: error?.details ?? '' });
    });
  });
}

describe('a server', () => {
  it.each([
    ['a truncated field', [0x0a, 0x7f, 0x61]],
    ['a wrong wire type', [0x0f, 0x01]],
    ['an endless varint', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['text', [...Buffer.from('{"grant": "x"}')]],
  ])('answers %s with INVALID_ARGUMENT', async (_what, bytes) => {
    const status = await send(GET_ACCOUNT, Uint8Array.from(bytes));
    expect(status).toEqual({ code: Status.INVALID_ARGUMENT, details: 'request: not a valid message for strife.bank.v1.BankService/GetAccount' });
  });

  it('answers any bytes with OK or INVALID_ARGUMENT', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
        const { code } = await send(GET_ACCOUNT, bytes);
        expect([Status.OK, Status.INVALID_ARGUMENT]).toContain(code);
      }),
      { numRuns: 200 },
    );
  });

  it('answers a request over 16 MiB with RESOURCE_EXHAUSTED', async () => {
    const { code, details } = await send(GET_ACCOUNT, new Uint8Array(MESSAGE_BYTES_MAX + 1));
    expect(code).toBe(Status.RESOURCE_EXHAUSTED);
    expect(details).toContain('larger than max');
  });

  it('takes a request of just under 16 MiB', async () => {
    const memo = new Uint8Array(MESSAGE_BYTES_MAX - 8).fill(0x61);
    const header = [0x0a, ...varint(memo.length)];
    expect(await send(GET_ACCOUNT, Buffer.concat([Buffer.from(header), memo]))).toMatchObject({ code: Status.OK });
  });

  it('fails its own answer over 16 MiB with RESOURCE_EXHAUSTED', async () => {
    expect(await rejection((await bank.bank()).getAccount({ grant: 'too much' }))).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
  });

  it.each(['/strife.bank.v1.BankService/Steal', '/no.such.Service/Get', '/', '/strife.bank.v1.BankService/%F0%9F%92%A5'])(
    'answers the unknown method %s with UNIMPLEMENTED',
    async (path) => {
      expect((await send(path, new Uint8Array())).code).toBe(Status.UNIMPLEMENTED);
    },
  );

  it.each([
    ['no gRPC content type', { 'content-type': 'text/plain' }, ''],
    ['a broken frame', { 'content-type': 'application/grpc' }, 'not a frame at all'],
    ['no frame', { 'content-type': 'application/grpc' }, ''],
    ['an unknown encoding', { 'content-type': 'application/grpc', 'grpc-encoding': 'zstd' }, '\u0001\u0000\u0000\u0000\u0001x'],
    ['a broken time limit', { 'content-type': 'application/grpc', 'grpc-timeout': 'soon' }, ''],
    ['a path of odd bytes', { 'content-type': 'application/grpc', ':path': '/\u00ff\u0080"<>' }, ''],
  ])('survives a raw HTTP/2 call with %s', async (_what, headers, body) => {
    await rawHttp2(headers, body);
    await expect((await bank.bank()).getAccount({})).resolves.toBeDefined();
  });

  it('logs what it refused, without contents', async () => {
    await send(GET_ACCOUNT, new Uint8Array([0x0a, 0x7f]));
    const lines = await bank.logLines();
    expect(lines).toContainEqual(expect.objectContaining({ level: 'warn', status: 'INVALID_ARGUMENT', reason: 'MALFORMED_REQUEST', request_bytes: 2 }));
    expect(lines).toContainEqual(expect.objectContaining({ level: 'warn', method: GET_ACCOUNT, detail: expect.stringContaining('too large') }));
    expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

/** Ends when the server has answered or closed the stream, in whatever way. */
function rawHttp2(headers: Record<string, string>, body: string): Promise<void> {
  return new Promise((resolve) => {
    const session = connect(`https://${bank.address}`, { ...tls, servername: 'strife.local', checkServerIdentity: () => undefined });
    session.on('error', () => undefined);
    const stream = session.request({ ':method': 'POST', ':path': GET_ACCOUNT, te: 'trailers', ...headers });
    stream.on('error', () => undefined);
    stream.on('close', () => session.close(resolve));
    stream.resume();
    stream.end(body, 'latin1');
  });
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
