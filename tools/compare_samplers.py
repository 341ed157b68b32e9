"""Limbeck's samplers against BoTorch's qLogNEHVI and Optuna's GP, TPE and NSGA-II samplers.

    python tools/compare_samplers.py run --out samplers.jsonl --seeds 10 --trials 100
    python tools/compare_samplers.py table --out samplers.jsonl
    python tools/compare_samplers.py speed --trials 100 --seeds 5

`run` appends one line of JSON for each problem, method and seed, and leaves out what is there
already, so that it can be stopped and gone on with. Limbeck is asked and told through its
command line (`study ask`, `study tell`); what is timed of it is a whole process. `--problems` and
`--methods` choose some. `speed` times single suggestions of BoTorch and Limbeck on the same trials, in turn
(`--seeds` of them), or of Limbeck alone with `--methods limbeck-gp`. It needs botorch with a C++
compiler for its kernel, optuna and, for `--limbeck`, the built binary.

All methods see the same functions, bounds and reference points (BoTorch's), begin with 2(d + 1)
even points of their own, and go on one trial at a time. The hypervolume is BoTorch's, of feasible
points, from the reference point.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch

warnings.filterwarnings("ignore")

METHODS = ["limbeck-gp", "limbeck-motpe", "limbeck-nsga2", "limbeck-random",
           "botorch", "optuna-gp", "optuna-tpe", "optuna-nsga2"]


def problems():
    from botorch.test_functions import multi_objective as mo

    make = {
        "zdt1": lambda: mo.ZDT1(dim=6, negate=True),
        "zdt2": lambda: mo.ZDT2(dim=6, negate=True),
        "zdt3": lambda: mo.ZDT3(dim=6, negate=True),
        "dtlz2-2": lambda: mo.DTLZ2(dim=6, num_objectives=2, negate=True),
        "dtlz2-3": lambda: mo.DTLZ2(dim=6, num_objectives=3, negate=True),
        "branin-currin": lambda: mo.BraninCurrin(negate=True),
        "vehicle-safety": lambda: mo.VehicleSafety(negate=True),
        "c2dtlz2": lambda: mo.C2DTLZ2(dim=4, num_objectives=2, negate=True),
    }
    return {name: (lambda f=f: f().to(torch.double)) for name, f in make.items()}


class Objective:
    """A problem and what has been measured of it. Values are to be large, as in BoTorch."""

    def __init__(self, problem):
        self.problem = problem
        self.bounds = problem.bounds.double()
        self.x, self.y, self.slack = [], [], []

    @property
    def is_constrained(self):
        return hasattr(self.problem, "evaluate_slack") and self.problem.num_constraints > 0

    def measure(self, x):
        x = torch.as_tensor(x, dtype=torch.double).reshape(1, -1)
        y = self.problem(x)[0]
        slack = self.problem.evaluate_slack(x)[0] if self.is_constrained else torch.zeros(0).double()
        self.x.append(x[0])
        self.y.append(y)
        self.slack.append(slack)
        return y, slack

    def hypervolume(self):
        from botorch.utils.multi_objective.box_decompositions import FastNondominatedPartitioning

        y = torch.stack(self.y)
        if self.is_constrained:
            y = y[(torch.stack(self.slack) >= 0).all(dim=-1)]
        partitioning = FastNondominatedPartitioning(self.problem.ref_point.double(), Y=y)
        return partitioning.compute_hypervolume().item()


def first_trials(objective):
    return 2 * (objective.bounds.shape[1] + 1)


def suggest_botorch(objective):
    """The next point by qLogNEHVI as in BoTorch's tutorial: standardised single-task models, 128
    draws. The ten restarts are climbed from side by side (the tutorial's two batches of five take
    half as long again)."""
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.models.transforms import Normalize, Standardize
    from botorch.optim import optimize_acqf
    from botorch.sampling import SobolQMCNormalSampler
    from gpytorch.mlls import SumMarginalLogLikelihood

    bounds = objective.bounds
    outcomes = objective.problem.num_objectives
    x = torch.stack(objective.x)
    values = torch.cat([torch.stack(objective.y), -torch.stack(objective.slack)], dim=-1)
    models = [
        SingleTaskGP(x, values[:, i : i + 1], outcome_transform=Standardize(1),
                     input_transform=Normalize(bounds.shape[1], bounds=bounds))
        for i in range(values.shape[1])
    ]
    model = ModelListGP(*models)
    fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
    constraints = [(lambda z, i=i: z[..., i]) for i in range(outcomes, values.shape[1])] or None
    acquisition = qLogNoisyExpectedHypervolumeImprovement(
        model=model,
        ref_point=objective.problem.ref_point.tolist(),
        X_baseline=x,
        sampler=SobolQMCNormalSampler(torch.Size([128])),
        prune_baseline=True,
        objective=IdentityMCMultiOutputObjective(outcomes=list(range(outcomes))),
        constraints=constraints,
    )
    candidate, _ = optimize_acqf(
        acquisition, bounds=bounds, q=1, num_restarts=10, raw_samples=512,
        options={"batch_limit": 10, "maxiter": 200}, sequential=True,
    )
    return candidate[0]


def load_kernel():
    """BoTorch's C++ kernel of this acquisition, compiled when it is first needed. Without it
    BoTorch falls back to a slower form that gives the same values, and only warns of it."""
    from botorch.acquisition.multi_objective import logei

    # Where pip has put ninja, should this Python's environment not be the active one.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    logei._try_load_fused_kernel()
    if logei._C is None:
        sys.exit("BoTorch's C++ kernel cannot be compiled: it needs a C++ compiler and ninja")


def sobol(objective, count, seed):
    from botorch.utils.sampling import draw_sobol_samples

    return draw_sobol_samples(objective.bounds, n=count, q=1, seed=seed).squeeze(1)


def timed(call):
    begun = time.perf_counter()
    return call(), time.perf_counter() - begun


def run_botorch(objective, trials, seed):
    torch.manual_seed(seed)
    for x in sobol(objective, first_trials(objective), seed):
        objective.measure(x)
    seconds = []
    while len(objective.x) < trials:
        x, took = timed(lambda: suggest_botorch(objective))
        seconds.append(took)
        objective.measure(x)
    return seconds


def run_optuna(kind):
    def run(objective, trials, seed):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)

        def constraints(trial):
            return trial.user_attrs["constraints"]

        extra = {"constraints_func": constraints} if objective.is_constrained else {}
        first = first_trials(objective)
        sampler = {
            "gp": lambda: optuna.samplers.GPSampler(seed=seed, n_startup_trials=first, **extra),
            "tpe": lambda: optuna.samplers.TPESampler(
                seed=seed, multivariate=True, n_startup_trials=first, **extra),
            "nsga2": lambda: optuna.samplers.NSGAIISampler(
                seed=seed, population_size=20, **extra),
        }[kind]()
        study = optuna.create_study(
            directions=["maximize"] * objective.problem.num_objectives, sampler=sampler)
        seconds = []
        low, high = objective.bounds.tolist()
        for _ in range(trials):
            begun = time.perf_counter()
            trial = study.ask()
            x = [trial.suggest_float(f"x{i}", low[i], high[i]) for i in range(len(low))]
            seconds.append(time.perf_counter() - begun)
            y, slack = objective.measure(x)
            trial.set_user_attr("constraints", (-slack).tolist())
            study.tell(trial, y.tolist())
        return seconds

    return run


class Limbeck:
    """A study that is asked and told through the command line."""

    def __init__(self, objective, binary, folder):
        self.objective, self.binary = objective, binary
        self.space = Path(folder, "space.toml")
        self.study = ["--study", str(Path(folder, "s.study")), "--json"]
        low, high = objective.bounds.tolist()
        lines = []
        for i in range(len(low)):
            lines += [f"[parameters.x{i:02}]", "type = 'real'", f"low = {low[i]}", f"high = {high[i]}"]
        for i, threshold in enumerate(objective.problem.ref_point.tolist()):
            lines += [f"[metrics.f{i}]", "goal = 'maximize'", f"threshold = {threshold}"]
        for i in range(objective.problem.num_constraints if objective.is_constrained else 0):
            lines += [f"[metrics.g{i}]", "goal = 'maximize'", "role = 'constrain'", "threshold = 0.0"]
        self.space.write_text("\n".join(lines))

    def call(self, *arguments):
        return json.loads(subprocess.run(
            [self.binary, "study", *arguments, *self.study], check=True, capture_output=True).stdout)

    def ask(self, sampler, seed, trials):
        return self.call("ask", "--space", str(self.space), "--sampler", sampler,
                         "--seed", str(seed), "--trials", str(trials))

    def tell(self, asked):
        y, slack = self.objective.measure([asked["params"][name] for name in sorted(asked["params"])])
        metrics = {f"f{i}": v for i, v in enumerate(y.tolist())}
        metrics |= {f"g{i}": v for i, v in enumerate(slack.tolist())}
        self.call("tell", "--trial", str(asked["trial"]), "--metrics", json.dumps(metrics))


def run_limbeck(sampler, binary):
    def run(objective, trials, seed):
        seconds = []
        with tempfile.TemporaryDirectory() as folder:
            study = Limbeck(objective, binary, folder)
            for _ in range(trials):
                asked, took = timed(lambda: study.ask(sampler, seed, trials))
                seconds.append(took)
                study.tell(asked)
        return seconds

    return run


def method(name, binary):
    if name == "botorch":
        return run_botorch
    family, kind = name.split("-", 1)
    return run_limbeck(kind, binary) if family == "limbeck" else run_optuna(kind)


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(arguments):
    known = {(l["problem"], l["method"], l["seed"], l["trials"]) for l in lines_of(arguments.out)}
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    for seed in range(arguments.seeds):
        for problem in arguments.problems:
            for name in arguments.methods:
                if (problem, name, seed, arguments.trials) in known:
                    continue
                objective = Objective(problems()[problem]())
                seconds = method(name, arguments.limbeck)(objective, arguments.trials, seed)
                last = seconds[-10:]
                line = {
                    "problem": problem, "method": name, "seed": seed, "trials": arguments.trials,
                    "hypervolume": objective.hypervolume(),
                    "suggestion_seconds": statistics.median(last),
                }
                with arguments.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(json.dumps(line), flush=True)


def speed(arguments):
    """One suggestion after `--trials` trials of `--fill`, BoTorch's and Limbeck's in turn."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print("| problem | Limbeck | BoTorch | ratio |\n|---|---|---|---|")
    for problem in arguments.problems:
        ours, theirs = [], []
        with tempfile.TemporaryDirectory() as folder:
            objective = Objective(problems()[problem]())
            study = Limbeck(objective, arguments.limbeck, folder)
            for _ in range(arguments.trials):
                study.tell(study.ask(arguments.fill, 0, arguments.trials))
            known = Path(folder, "s.study").read_bytes()
            for seed in range(arguments.seeds):
                # As it was before the suggestion, which is written into it.
                Path(folder, "s.study").write_bytes(known)
                ours.append(timed(lambda: study.ask("gp", seed, arguments.trials + 1))[1])
                if "botorch" in arguments.methods:
                    torch.manual_seed(seed)
                    theirs.append(timed(lambda: suggest_botorch(objective))[1])
        median = statistics.median(ours)
        row = f"| {problem} | {median:.3f} |"
        if theirs:
            row += f" {statistics.median(theirs):.2f} | {statistics.median(theirs) / median:.1f} |"
        print(row, flush=True)


def table(arguments):
    lines = [line for line in lines_of(arguments.out) if line["trials"] == arguments.trials]
    found = {}
    for line in lines:
        found.setdefault((line["problem"], line["method"]), []).append(line)
    for problem in arguments.problems:
        print(f"\n{problem}\n| method | seeds | mean hypervolume | deviation | seconds a suggestion |")
        print("|---|---|---|---|---|")
        for name in arguments.methods:
            of = found.get((problem, name))
            if not of:
                continue
            volumes = [line["hypervolume"] for line in of]
            spread = statistics.stdev(volumes) if len(volumes) > 1 else 0.0
            seconds = statistics.median(line["suggestion_seconds"] for line in of)
            print(f"| {name} | {len(of)} | {statistics.mean(volumes):.5f} | {spread:.5f} | {seconds:.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("action", choices=["run", "table", "speed"])
    parser.add_argument("--out", type=Path, help="lines of JSON, read and appended to")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--problems", nargs="+", default=list(problems()), choices=list(problems()))
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--fill", default="gp", help="Limbeck's sampler of the trials before, for `speed`")
    parser.add_argument("--limbeck", default="target/release/limbeck", help="the binary")
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0 leaves its default")
    arguments = parser.parse_args()
    if arguments.out is None and arguments.action != "speed":
        parser.error("--out names the file of lines")
    if arguments.action != "table" and "botorch" in arguments.methods:
        load_kernel()
    {"run": run, "table": table, "speed": speed}[arguments.action](arguments)


if __name__ == "__main__":
    sys.exit(main())
