// What the API answers, as far as the page reads it: contract/certificates.py, jobs.py, models.py, problems.py.

export interface FieldProblem { pointer: string; message: string }
export interface Problem {
  type: string; title: string; status: number; detail: string; code: string; errors: FieldProblem[];
}
export interface ModelInfo {
  name: string; digest: string; ready: boolean; reason: string | null; description: string;
  classes: string[]; input_shape: [number, number, number]; fit: { resize: number; interpolation: string } | null;
  sigma: number | null; sigma_grid: number[]; n: number; clean_size: number;
  adaptable: boolean; not_adaptable_because: string | null;
  metrics: { metric: string; value: number; n: number; sigma: number | null; command: string }[];
}
export interface ModelList { default: string | null; models: ModelInfo[] }
export interface Progress { stage: string; completed: number; total: number; radius_so_far: number | null }
export interface ClassLabel { index: number; name: string }
export interface Radius { l2: number; l1: number; linf: number }
export interface SigmaTrial { sigma: number; certifies: boolean; proxy_radius: number; n: number }
export interface NoiseEvidence {
  noise: "gaussian" | "uniform"; sigma: number; trials: SigmaTrial[]; statistics_digest: string | null;
  dimension: number; n0: number; n: number; n_drawn: number; n_planned: number; stop_reason: string;
  counts: number[]; top_class: number; runner_up: number | null; alpha: number; p_lower: number;
  p_upper: number; radius: Radius; radius_limit: number;
}
export interface Memory {
  namespace: string | null; epoch: string | null; outcome: string; index: number | null;
  neighbours: number[]; inherited: Radius | null;
}
export interface Certificate {
  id: string; model: string; model_digest: string; image_digest: string; upload_digest: string;
  prediction: ClassLabel; label: ClassLabel | null; agrees: boolean | null; abstained: boolean;
  abstain_reason: string | null; correct: boolean | null; radius: Radius; same_class_radius: Radius | null;
  target_radius: number | null; target_certified: boolean | null; claim: string; sigma: number;
  sigma_policy: string; alpha: number; noise: NoiseEvidence[];
  adaptation: { used: boolean; momentum: number | null; clean_size: number | null; statistics_digest: string | null };
  memory: Memory; seed: string;
  compute: {
    arithmetic: string; device: string; backend: string; dtype: string; torch: string; batch_size: number; seconds: number;
    samples: number; samples_per_second: number;
  };
  created_at: string;
}
export interface Job {
  id: string; kind: string; status: string; model: string; attempt: number; created_at: string;
  progress: Progress; certificate: Certificate | null; error: Problem | null;
}
export interface Verification {
  certificate_id: string; valid: boolean; checks: { name: string; passed: boolean; message: string }[];
}

// What the page makes of it.

/** A picture as a model sees it: interleaved channels in [0, 1]. */
export interface Pixels { width: number; height: number; channels: number; data: Float32Array }
/** One step of a job, with the server's time of it in milliseconds. */
export interface Step { id: string; time: number; progress: Progress }
/** A job of this browser session. */
export interface Remembered {
  id: string; model: string; created: string; words: string; certificate: boolean; picture: string | null;
  norm: string;
}
