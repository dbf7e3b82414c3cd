// One limiter of the package by itself: its index loads the ones for a dozen databases too, 36 files at every start.
declare module 'rate-limiter-flexible/lib/RateLimiterMemory.js' {
  export { RateLimiterMemory as default } from 'rate-limiter-flexible';
}
