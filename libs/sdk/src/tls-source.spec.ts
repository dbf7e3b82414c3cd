import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, spiffeUri, type Authority } from '@strife/certs';
import { connect, eur, tlsFiles, type Strife, type TlsOptions, type TlsSource } from './index.ts';
import { startTestGateway, startTestLine, TEST_PASSWORD, type TestGateway, type TestLine } from './testing/index.ts';

const alice = { bank: 'alpha', username: 'alice', password: TEST_PASSWORD };

let gateway: TestGateway;

beforeEach(async () => {
  gateway = await startTestGateway();
});

afterEach(() => gateway.kill());

const issue = (authority: Authority): Promise<TlsOptions> => authority.issue({ uris: [spiffeUri('client/test')] });

/** A source whose certificates a test exchanges. */
function exchangeable(initial: TlsOptions): TlsSource & { exchange(next: TlsOptions): void } {
  let current = initial;
  const listeners = new Set<() => void>();
  return {
    current: () => current,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    exchange(next) {
      current = next;
      for (const listener of listeners) listener();
    },
  };
}

describe('a certificate that is renewed', () => {
  let line: TestLine;
  let strife: Strife;
  let source: ReturnType<typeof exchangeable>;

  beforeEach(async () => {
    line = await startTestLine(gateway.port);
    source = exchangeable(gateway.tls);
    strife = await connect({ gateways: [line.address], tls: source });
    await strife.login(alice);
  });

  afterEach(async () => {
    await strife.close();
    line.close();
  });

  it('is taken up by a new connection while payments run, and none fails', async () => {
    const failures: unknown[] = [];
    let isOver = false;
    const pay = async (): Promise<void> => {
      while (!isOver) {
        const results = await strife.transfers.createMany(Array.from({ length: 5 }, () => ({ to: 'beta/bob', amount: eur('0.01') })));
        failures.push(...results.filter(({ ok }) => !ok));
      }
    };
    const paying = [pay(), pay(), pay()];
    for (let connections = 2; connections <= 4; connections++) {
      source.exchange(await issue(gateway.authority));
      while (line.connections < connections) await strife.balance();
    }
    isOver = true;
    await Promise.all(paying);
    expect(failures).toEqual([]);
  });

  it('and that cannot be used leaves the present one in use', async () => {
    source.exchange({ ca: 'x', cert: 'y', key: 'z' });
    expect(await strife.balance()).toMatchObject({ account: 'alpha/alice' });
  });

  it('and that the gateway does not take leaves the present connection in use', async () => {
    const stranger = await issue(await createAuthority());
    source.exchange({ ...stranger, ca: gateway.tls.ca });
    while (line.connections < 2) await strife.balance();
    expect(await strife.balance()).toMatchObject({ account: 'alpha/alice' });
  });
});

describe('certificates in files', () => {
  let folder: string;
  let paths: { ca: string; cert: string; key: string };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'strife-sdk-tls-'));
    paths = { ca: join(folder, 'ca.pem'), cert: join(folder, 'client.pem'), key: join(folder, 'client.key') };
    await write(gateway.tls);
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function write({ ca, cert, key }: TlsOptions): Promise<void> {
    await writeFile(paths.ca, ca);
    await writeFile(paths.cert, cert);
    await writeFile(paths.key, key, { mode: 0o600 });
  }

  it('are read again when they change, once certificate and key fit', async () => {
    const source = tlsFiles(paths);
    const next = await issue(gateway.authority);
    const changes: string[] = [];
    const changed = new Promise<void>((resolve) => {
      const stop = source.onChange(() => {
        changes.push(String(source.current().cert));
        stop();
        resolve();
      });
    });
    await writeFile(paths.cert, next.cert);
    await writeFile(paths.key, next.key);
    await changed;
    expect(changes).toEqual([next.cert]);
    expect(String(source.current().key)).toBe(next.key);
  });

  it('serve a client', async () => {
    await using strife = await connect({ gateways: [gateway.address], tls: tlsFiles(paths) });
    expect(await strife.login(alice)).toMatchObject({ account: 'alpha/alice' });
  });

  it('must be there and fit at the start', async () => {
    expect(() => tlsFiles({ ...paths, ca: join(folder, 'none.pem') })).toThrow(expect.objectContaining({ name: 'TlsError', code: 'TLS_MATERIAL_INVALID' }));
    const { key } = await issue(gateway.authority);
    await writeFile(paths.key, key);
    expect(() => tlsFiles(paths)).toThrow(expect.objectContaining({ name: 'TlsError', code: 'TLS_MATERIAL_INVALID' }));
    expect(() => tlsFiles({ ...paths, cert: '' })).toThrow(expect.objectContaining({ name: 'InvalidArgumentError', field: 'cert' }));
  });
});
