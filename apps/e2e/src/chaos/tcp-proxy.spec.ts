import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startTcpProxy } from './tcp-proxy.ts';
import type { TcpProxy } from './tcp-proxy.ts';
import { until } from './until.ts';

/** A socket that remembers what it received and how it ended. */
interface End {
  readonly socket: Socket;
  text(): string;
  closed(): boolean;
}

function endOf(socket: Socket): End {
  let text = '';
  let closed = false;
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk)).on('error', () => undefined).on('close', () => (closed = true));
  return { socket, text: () => text, closed: () => closed };
}

describe('a TCP proxy', () => {
  let service: Server;
  let accepted: End[];
  let proxy: TcpProxy;
  const callers: End[] = [];

  beforeEach(async () => {
    accepted = [];
    service = createServer((socket) => accepted.push(endOf(socket))).listen(0, '127.0.0.1');
    await once(service, 'listening');
    proxy = await startTcpProxy(`127.0.0.1:${(service.address() as AddressInfo).port}`);
  });
  afterEach(async () => {
    await proxy.close();
    for (const { socket } of [...callers.splice(0), ...accepted]) socket.destroy();
    await new Promise((resolve) => service.close(resolve));
  });

  async function call(): Promise<{ caller: End; served: End }> {
    const [host, port] = proxy.address.split(':');
    const caller = endOf(connect({ host: host!, port: Number(port) }));
    callers.push(caller);
    const before = accepted.length;
    await until('the service is called', () => accepted.length > before);
    return { caller, served: accepted[before]! };
  }

  it('passes everything on, both ways, to the end', async () => {
    const { caller, served } = await call();
    const long = 'x'.repeat(3_000_000);
    caller.socket.end(long);
    served.socket.write('answer');
    await until('all has arrived', () => served.text().length === long.length && caller.text() === 'answer' && served.closed() && caller.closed());
    expect(proxy.connections).toBe(0);
  });

  it('keeps one direction back while the other goes on, and passes on what it kept also when the caller has died', async () => {
    const { caller, served } = await call();
    proxy.hold('in');
    caller.socket.write('question');
    served.socket.write('answer');
    await until('the answer is there and the question is held', () => caller.text() === 'answer' && proxy.held('in') === 8);
    caller.socket.resetAndDestroy();
    await until('the caller is gone', () => caller.closed());
    expect(served.text()).toBe('');
    proxy.release('in');
    await until('the question is there', () => served.text() === 'question' && served.closed());
  });

  it('passes on later, in order', async () => {
    const { caller, served } = await call();
    proxy.delay(100);
    const startedAtMs = performance.now();
    caller.socket.write('1');
    await until('the first is held', () => proxy.held('in') === 1);
    caller.socket.write('2');
    await until('both have arrived', () => served.text() === '12');
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(100);
  });

  it('resets a connection after so many bytes, and only that one', async () => {
    const { caller, served } = await call();
    proxy.resetAfter('in', 5);
    caller.socket.write('123');
    await until('3 bytes have arrived', () => served.text() === '123');
    caller.socket.write('4567');
    await until('both ends are reset', () => served.closed() && caller.closed());
    expect(served.text()).toMatch(/^123(45)?$/);
    const next = await call();
    next.caller.socket.write('12345678');
    await until('the next connection works', () => next.served.text() === '12345678');
  });

  it('loses what it kept back when it is cut', async () => {
    const { caller, served } = await call();
    proxy.hold('in');
    caller.socket.write('lost');
    await until('it is held', () => proxy.held('in') === 4);
    proxy.cut();
    proxy.release('in');
    await until('both ends are reset', () => served.closed() && caller.closed());
    expect(served.text()).toBe('');
  });

  it('lets one end believe in a connection that the other has lost', async () => {
    const { caller, served } = await call();
    proxy.halfOpen('service');
    await until('the service is told', () => served.closed());
    caller.socket.write('is anybody there?');
    const next = await call();
    next.caller.socket.write('yes');
    await until('new connections work', () => next.served.text() === 'yes');
    expect(caller.closed()).toBe(false);
    proxy.heal();
    await until('the caller is told', () => caller.closed());
  });

  it('refuses until it is healed', async () => {
    proxy.refuse();
    const [host, port] = proxy.address.split(':');
    const caller = endOf(connect({ host: host!, port: Number(port) }));
    await until('the caller is reset', () => caller.closed());
    proxy.heal();
    await call();
    expect(accepted).toHaveLength(1);
  });
});
