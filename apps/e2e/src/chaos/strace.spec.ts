import { describe, expect, it } from '@jest/globals';
import { readTrace, sentEarly } from './strace.ts';

const WAL = '/data/bank-alpha.sqlite-wal';
const SOCKET = 'TCP:[127.0.0.1:7501->127.0.0.1:40112]';
const write = `7 pwrite64(21<${WAL}>, ""..., 4096, 24) = 4096`;
const sync = `7 fdatasync(21<${WAL}>) = 0`;
const send = `7 writev(30<${SOCKET}>, [{iov_base=""..., iov_len=60}], 1) = 60`;

describe('a trace', () => {
  it('is read call by call, with what each call was about', () => {
    expect(readTrace([write, sync, send, '7 +++ exited with 0 +++', '7 --- SIGTERM {si_signo=SIGTERM} ---'])).toEqual([
      { name: 'pwrite64', target: WAL, result: 4096 },
      { name: 'fdatasync', target: WAL, result: 0 },
      { name: 'writev', target: SOCKET, result: 60 },
    ]);
  });

  it('has calls that threads cut apart, in the order of their ends', () => {
    const lines = [`7 fdatasync(21<${WAL}> <unfinished ...>`, send.replace('7', '8'), '7 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)'];
    expect(readTrace(lines)).toEqual([
      { name: 'writev', target: SOCKET, result: 60 },
      { name: 'fdatasync', target: WAL, result: -1 },
    ]);
  });
});

describe('words before their sync', () => {
  it.each([
    ['none, when all is synced before', [write, sync, send], 0],
    ['none, when nothing was written', [send, send], 0],
    ['one, sent between write and sync', [write, send, sync], 1],
    ['one, sent after a sync of something else', [write, `7 fdatasync(22</data/other.log>) = 0`, send], 1],
    ['one, sent after a sync that failed', [write, sync.replace('= 0', '= -1 EIO (Input/output error)'), send], 1],
    ['none, when what is sent goes to a file', [write, '7 write(5</data/log>, ""..., 9) = 9', sync], 0],
  ])('%s', (_name, lines, early) => {
    expect(sentEarly(readTrace(lines)).early).toHaveLength(early);
  });
});
