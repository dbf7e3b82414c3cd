// What the doctor says of a gateway whose clock, state or identity is wrong; the e2e suite has it look at real services.
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { createSecureServer, type Http2SecureServer } from 'node:http2';
import { startTestGateway, type TestGateway } from '@strife/sdk/testing';
import { spiffeUri } from '@strife/certs';
import { strifeFolder, type UserFolder } from './testing/strife-folder.ts';

const HOUR_MS = 3_600_000;

let gateway: TestGateway;
let folder: UserFolder;
let server: Http2SecureServer | undefined;

beforeEach(async () => {
  gateway = await startTestGateway();
  folder = strifeFolder(gateway);
});

afterEach(() => {
  server?.close();
  server = undefined;
  gateway.kill();
  folder.remove();
});

/** A server of the same authority that answers health checks. Returns its address. */
async function answerHealth({ status = 1, aheadMs = 0, identity = 'gateway/g1' }): Promise<string> {
  const { cert, key, ca } = await gateway.authority.issue({ uris: [spiffeUri(identity)] });
  server = createSecureServer({ cert, key, ca, requestCert: true });
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', date: new Date(Date.now() + aheadMs).toUTCString() });
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

async function findingsAt(address: string): Promise<{ check: string; status: string; detail: string }[]> {
  const { stdout } = await folder.strife(['doctor', '--json', '--gateways', address]);
  return JSON.parse(stdout).doctor.findings;
}

it.each([
  [0, 'ok', /^as here$/],
  [20_000, 'warning', /^this machine is (19|2[01]) s behind$/],
  [HOUR_MS, 'failure', /^this machine is 3(599|60[01]) s behind$/],
  [-HOUR_MS, 'failure', /^this machine is 3(599|60[01]) s ahead$/],
])('says of a clock that is %d ms ahead: %s', async (aheadMs, status, detail) => {
  const address = await answerHealth({ aheadMs });
  expect(await findingsAt(address)).toContainEqual(expect.objectContaining({ check: `gateway ${address}: clock`, status, detail: expect.stringMatching(detail) }));
});

it('names a gateway that answers and does not serve', async () => {
  const address = await answerHealth({ status: 2 });
  expect(await findingsAt(address)).toContainEqual(expect.objectContaining({ check: `gateway ${address}`, status: 'failure' }));
});

it('names what is no gateway', async () => {
  const address = await answerHealth({ identity: 'bank/alpha' });
  expect(await findingsAt(address)).toContainEqual(expect.objectContaining({ check: `gateway ${address}: certificate`, status: 'failure', detail: expect.stringContaining('not a gateway') }));
});

it('names a registry without a gateway', async () => {
  const { code, stdout } = await folder.strife(['doctor', '--registry-dir', 'empty']);
  expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringMatching(/FAIL {2}gateways: none is registered in .*empty/) });
});

it('names an authority of Consul that cannot be read', async () => {
  expect(await folder.strife(['doctor', '--consul-addr', 'https://127.0.0.1:1', '--consul-ca', 'nowhere.pem'])).toMatchObject({ code: 2, stderr: expect.stringContaining('nowhere.pem') });
});

it('says that the session is stored, and that no gateway could be asked about it', async () => {
  await folder.logIn();
  expect(await findingsAt('127.0.0.1:1')).toContainEqual(expect.objectContaining({ check: 'session', status: 'ok', detail: expect.stringContaining('no gateway could be asked') }));
});
