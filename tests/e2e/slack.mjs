// How much longer than its goal a wait may take before a test fails: machines are shared, and stall.
// The goals themselves are measured by scripts/measure_lanes.py; TRILANE_SLACK=1 holds to them here.
export const SLACK = Number(process.env.TRILANE_SLACK ?? 5);
