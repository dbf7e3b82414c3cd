// Loads through the SDK, as an application would make them.

import { connect, StrifeError } from '@strife/sdk';
import type { ConnectOptions, NewTransfer, Strife } from '@strife/sdk';
import type { LoginJob, PaymentTerms, SdkBatchJob, SdkCreateJob, StrifeTarget } from './job.ts';
import type { Measure } from './load-main.ts';
import type { LoopResult, StepResult } from './measure-loop.ts';
import { anyPayee, classOf, payeesOf, tally } from './payments.ts';

const TIMEOUT_MS = 30_000;
const AMOUNT = { currency: 'EUR', minorUnits: 1n };

export async function sdkCreates(job: SdkCreateJob, measure: Measure): Promise<LoopResult> {
  await using client = await clientOf(job.target, 0, job.coalesce);
  return await measure({ workers: job.callers, step: () => counted(() => client.transfers.create(newTransfer(job, client.session?.account))) });
}

export async function sdkBatches(job: SdkBatchJob, measure: Measure): Promise<LoopResult> {
  await using clients = new AsyncDisposableStack();
  const callers = await Promise.all(Array.from({ length: job.callers }, (_, index) => clientOf(job.target, index)));
  callers.forEach((client) => clients.use(client));
  return await measure({
    workers: job.callers,
    async step(worker): Promise<StepResult> {
      const client = callers[worker]!;
      const payer = client.session?.account;
      const terms = { ...job, payees: payeesOf(job, payer) };
      const payments = Array.from({ length: job.batchItems }, () => newTransfer(terms, payer));
      const results = await client.transfers.createMany(payments);
      const failures = results.flatMap((result) => (result.ok ? [] : [classOf(result.error)]));
      return { done: results.length - failures.length, failures: tally(failures) };
    },
  });
}

/** Every step is a login, and a logout nobody waits for is not made: sessions just end. */
export async function sdkLogins(job: LoginJob, measure: Measure): Promise<LoopResult> {
  await using clients = new AsyncDisposableStack();
  const callers = await Promise.all(Array.from({ length: job.concurrency }, () => connect(connectOptions(job.target))));
  callers.forEach((client) => clients.use(client));
  const { bank, password } = job;
  return await measure({
    workers: job.concurrency,
    step: (worker) => {
      const username = anyPayee({ bank, first: 1, last: job.users });
      return counted(() => callers[worker]!.login({ bank, username, password }));
    },
  });
}

async function clientOf(target: StrifeTarget, index: number, coalesce = true): Promise<Strife> {
  const session = target.sessions[index % target.sessions.length];
  const options: ConnectOptions & { coalesce: boolean } = { ...connectOptions(target), session, coalesce };
  return connect(options);
}

function connectOptions({ address, tls }: StrifeTarget): ConnectOptions {
  return { gateways: [address], tls, timeoutMs: TIMEOUT_MS };
}

function newTransfer({ payees, wait }: PaymentTerms, payer: string | undefined): NewTransfer {
  return { to: { bank: payees.bank, account: anyPayee(payees, payer) }, amount: AMOUNT, wait };
}

async function counted(call: () => Promise<unknown>): Promise<StepResult> {
  try {
    await call();
    return { done: 1 };
  } catch (error) {
    if (!(error instanceof StrifeError)) throw error;
    return { done: 0, failures: { [classOf(error)]: 1 } };
  }
}
