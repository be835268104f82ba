"""How an exported net is used, for its model card: from Python, and by onnxruntime."""

from __future__ import annotations

from typing import Any

from drnn_bench.export.described import OUTPUTS, Answers, Described, Inputs
from drnn_bench.tasks.own.scaling import MASKS
from drnn_bench.tasks.prepared import Prepared

Row = dict[str, Any]


def usage(said: Described, prepared: Prepared, final: Row, onnx: bool) -> str:
    """Markdown; its blocks of code run as they stand, `x` being raw inputs."""
    parts = [_python(said, final), _itself(said, prepared)]
    if onnx:
        parts += ["### onnxruntime", _runtime_words(said), _runtime(said), _runtime_cpp(said)]
    return "\n\n".join(parts)


def _python(said: Described, final: Row) -> str:
    code = final.get("plugins", {}).get("family", {})
    first = f"drnn_bench.plugin({code['file']!r})  # has the family\n" if "file" in code else ""
    return (
        f"```python\nimport drnn_bench\n\n{first}"
        'model = drnn_bench.load("this folder")\n'
        "answers = model.predict(x)\n"
        f"{_ANSWERS[said.answers.form.kind]}\n\n"
        "# Or a sequence step by step, or in parts of any size; an answer for each step:\n"
        "answers, state = model.stream_predict(x[:, :1])\n"
        "answers, state = model.stream_predict(x[:, 1:], state)\n"
        "```\n\n" + _raw_words(said.inputs) + " " + _answered_words(said.answers)
    )


_ANSWERS = {
    "classes": "answers.values, answers.probabilities  # names of classes; in the order of `names`",
    "binary": "answers.values, answers.probabilities  # True for yes; the probability of yes",
    "real": "answers.values  # in the targets' own unit",
    "quantiles": "answers.values, answers.levels  # quantiles in the targets' own unit",
}


def _raw_words(inputs: Inputs) -> str:
    if inputs.symbols:
        text = ", or text of its alphabet (then as a whole, not step by step)"
        return f"`x` is symbols (batch, steps), whole numbers from 0 to {inputs.size - 1}" + (
            f"{text if inputs.alphabet else ''}."
        )
    words = [f"`x` is numbers (batch, steps, {inputs.channels}) as the task has them, not scaled."]
    if inputs.scaling is not None:
        words.append(
            "`mean` and `deviation` in `config.json` scale them, in float64; whole numbers beyond "
            "2^53 keep all digits in an array of whole numbers."
        )
        words += [_MISSING[inputs.scaling.missing]]
    return " ".join(words)


_MISSING = {
    "refuse": "No value may be missing.",
    "ffill": "A missing one is NaN and repeats the last one of its channel.",
    MASKS: "A missing one is NaN and counts as the mean of its channel; further inputs of the net "
    "say which are missing.",
}


def _answered_words(answers: Answers) -> str:
    if answers.steps is None:
        return "Every step has an answer."
    if answers.steps == 1:
        return "The answer is that of the last step."
    return f"The last {answers.steps:,} steps have an answer."


def _itself(said: Described, prepared: Prepared) -> str:
    """The net as a torch module."""
    words = [
        "`model` is a torch.nn.Module: `model(x_BTI)` computes (batch, steps, "
        f"{said.inputs.size}) -> (batch, steps, {said.answers.form.outputs}) from float32 that is "
        "already scaled (of symbols one-hot), `model(x_BTI, last=1)` the last step alone, "
        "`model.stream(x_BTI, state)` the next steps of a stream."
    ]
    if said.inputs.scale != 1:
        words.append(f"The task's numbers are multiplied by {said.inputs.scale:g} first.")
    words += [text for key, text in _FACTS.items() if key in prepared.facts]
    return " ".join(words)


_FACTS = {  # what tasks learn of their data -> how it is used
    "alphabet": "`alphabet` in `config.json` has the symbols in order; null is any other.",
    "classes": "`classes` in `config.json` names the outputs in order.",
    "divided_by": "The waveform, from -1 to 1, enters divided by `divided_by` in `config.json`.",
    "order": "Step t is pixel number `order[t]` of an image, row by row (`config.json`).",
}


def _runtime_words(said: Described) -> str:
    inputs = ", ".join(
        f"`{name}` {dtype} [{', '.join(['batch', 'length', *_count(channels)])}]"
        for name, (dtype, channels) in said.inputs.raw.items()
    )
    outputs = " and ".join(f"`{name}`" for name in OUTPUTS[said.answers.form.kind])
    words = [
        f"`model.onnx` takes whole sequences of any length, {inputs}, as raw as `predict` does, "
        f"and gives {outputs} of every step. "
        "`step.onnx` takes one step without the axis `length`, and its state: tensors that "
        "are zeros before the first step, whose shapes its metadata has under `state`; `next_NAME` "
        "is the state that follows. The metadata also has classes, alphabet and levels."
    ]
    if "whole" in said.inputs.raw:
        places = ", ".join(map(str, said.inputs.raw["whole"][1]))
        words.append(
            f"`whole` has the channels {places} (counted from 0), whole numbers that float64 would "
            "round; the least int64 stands for a missing one."
        )
    return " ".join(words)


def _count(channels: tuple[int, ...]) -> list[str]:
    return [str(len(channels))] if channels else []


def _runtime(said: Described) -> str:
    """onnxruntime in Python."""
    given, of_step = [], []
    for name, (dtype, channels) in said.inputs.raw.items():
        several = len(said.inputs.raw) > 1
        part = f"x[..., {list(channels)}]" if several else "x"
        given.append(f'"{name}": np.asarray({part}, np.{dtype})')
        of_step.append(f'"{name}": given["{name}"][:, t]')
    first = OUTPUTS[said.answers.form.kind][0]
    answers = {
        "classes": 'classes = json.loads(model.get_modelmeta().custom_metadata_map["classes"])\n'
        "answers = [classes[i] for i in outputs[:, -1].argmax(-1)]  # at the last step\n",
        "binary": "answers = outputs[:, -1] > 0  # at the last step\n",
    }.get(said.answers.form.kind, "answers = outputs[:, -1]  # at the last step\n")
    return (
        "```python\nimport json\nimport numpy as np\nimport onnxruntime\n\n"
        'model = onnxruntime.InferenceSession("this folder/model.onnx")\n'
        f"given = {{{', '.join(given)}}}\n"
        f'(outputs,) = model.run(["{first}"], given)\n'
        f"{answers}\n"
        'step = onnxruntime.InferenceSession("this folder/step.onnx")\n'
        'facts = json.loads(step.get_modelmeta().custom_metadata_map["state"])\n'
        'sizes = {"batch": len(outputs), "seen": 0}\n'
        "state = {\n"
        '    name: np.zeros([sizes.get(n, n) for n in fact["shape"]], fact["type"])\n'
        "    for name, fact in facts.items()\n"
        "}\n"
        "for t in range(outputs.shape[1]):\n"
        f"    results = step.run(None, {{{', '.join(of_step)}, **state}})\n"
        "    state = dict(zip(state, results[len(results) - len(state) :]))\n"
        f"    # results[0] is the step's `{first}`\n```"
    )


_TYPES = {"float32": "float", "float64": "double", "int64": "int64_t"}


def _runtime_cpp(said: Described) -> str:
    """onnxruntime in C++."""
    first = OUTPUTS[said.answers.form.kind][0]
    dtype = "double" if said.answers.form.kind in ("real", "quantiles") else "float"
    tensors, names = [], ", ".join(f'"{name}"' for name in said.inputs.raw)
    for name, (kind, channels) in said.inputs.raw.items():
        size = ", ".join(["batch", "length", *_count(channels)])
        product = size.replace(", ", " * ")
        tensors.append(
            f"  std::vector<{_TYPES[kind]}> {name}({product});  // by sequence, step, channel\n"
            f"  std::vector<int64_t> {name}_shape{{{size}}};\n"
            f"  given.push_back(Ort::Value::CreateTensor<{_TYPES[kind]}>(\n"
            f"      memory, {name}.data(), {name}.size(), {name}_shape.data(), "
            f"{name}_shape.size()));\n"
        )
    return (
        "```cpp\n#include <onnxruntime_cxx_api.h>\n#include <cstdint>\n#include <vector>\n\n"
        "int main() {\n"
        "  Ort::Env env;\n"
        '  Ort::Session model(env, "this folder/model.onnx", Ort::SessionOptions{});\n'
        "  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);\n"
        "  int64_t batch = 1, length = 100;\n"
        "  std::vector<Ort::Value> given;\n"
        + "".join(tensors)
        + f"  const char* inputs[] = {{{names}}};\n"
        f'  const char* outputs[] = {{"{first}"}};\n'
        "  auto results = model.Run(\n"
        "      Ort::RunOptions{}, inputs, given.data(), given.size(), outputs, 1);\n"
        f"  const {dtype}* {first} = results[0].GetTensorData<{dtype}>();\n"
        f"  return {first} == nullptr;\n"
        "}\n```"
    )
