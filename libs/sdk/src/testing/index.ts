// For tests in this repository; not published. A gateway to test clients against.

export {
  hang,
  startTestGateway,
  type Fault,
  type TestGateway,
  type TestGatewayOptions,
} from './test-gateway.ts';
export { refusal, type RefusalInfo } from './refusal.ts';
export { TEST_PASSWORD, testBank, type TestBank } from './test-bank.ts';
export { startTestLine, type TestLine } from './test-line.ts';
