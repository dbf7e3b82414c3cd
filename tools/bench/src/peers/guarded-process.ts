// A foreign program as a child process that cannot outlive this one, however this one ends, and that need not cooperate for that.

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface GuardedProcess {
  readonly pid: number;
  readonly running: boolean;
  /** Settles when the program has ended; never rejects. */
  readonly exited: Promise<void>;
  /** Does nothing when the program has ended. */
  signal(signal: NodeJS.Signals): void;
}

export interface GuardedOptions {
  /** Its output is appended here; must exist. */
  readonly logFile: string;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/**
 * A shell starts the program and waits for it. Beside it another one reads a pipe that ends with this process, and then stops the
 * program: that works also when this process gets SIGKILL. SIGQUIT makes a database server end its own children at once.
 */
const SCRIPT = `
exec 3<&0
"$@" </dev/null >&2 3<&- &
program=$!
echo "$program"
{ cat <&3 >/dev/null; kill -QUIT "$program"; } >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait "$program"
code=$?
kill "$guard"
exit "$code"
`;

/** Starts the program in a process group of its own, so that Ctrl-C reaches only this process. */
export async function startGuarded(program: string, args: readonly string[], { logFile, uid, gid }: GuardedOptions): Promise<GuardedProcess> {
  const log = openSync(logFile, 'a');
  const child = spawn('sh', ['-c', SCRIPT, 'sh', program, ...args], {
    detached: true, stdio: ['pipe', 'pipe', log], ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }),
  });
  closeSync(log);
  let running = true;
  const exited = new Promise<void>((settle) => {
    child.once('exit', () => {
      running = false;
      child.stdin?.destroy();
      settle();
    });
  });
  const pid = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    createInterface({ input: child.stdout! }).once('line', (line) => resolve(Number(line)));
  });
  return {
    pid,
    get running() {
      return running;
    },
    exited,
    signal(signal) {
      if (running) process.kill(pid, signal);
    },
  };
}
