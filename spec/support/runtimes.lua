--- The runtimes that Secateur is timed beside, each in a process of its own through spec/bench/peer_speed.py.
local bench = require "support.bench"
local json = require "secateur.util.json"

local SCRIPT = "spec/bench/peer_speed.py"

-- name: as the script has it; package: what must be installed; column: where the table shows it, the faster one where
-- two share a column; train: whether it trains; onnx: whether it reads a file; divides: makes sense for batches alone.
local all = {
  { name = "torch", package = "torch", column = "torch", train = true },
  { name = "torch_channels_last", package = "torch", column = "torch_cl", train = true },
  { name = "onnxruntime", package = "onnxruntime", column = "onnxrt", onnx = true },
  { name = "openvino", package = "openvino", column = "openvino", onnx = true },
  { name = "openvino_throughput", package = "openvino", column = "openvino", onnx = true, divides = true },
}

local runtimes = {}

local function decode(text)
  local read, answer = pcall(json.decode, text)
  return read and type(answer) == "table" and answer or nil
end

--- The runtimes that an interpreter has; says on stderr which are missing.
-- @string[opt] python nil: none
-- @string wanted names, separated by spaces
-- @treturn {table,...} each `name`, `column`, `version`, `train`, `onnx`, `divides`
function runtimes.installed(python, wanted)
  if not python then
    io.stderr:write "PYTHON is not set: Secateur alone\n"
    return {}
  end
  local versions = decode(bench.run({ python, SCRIPT, "versions" }, 1))
  if not versions then error(("PYTHON: expected an interpreter, got '%s'"):format(python), 0) end
  local list = {}
  for _, runtime in ipairs(all) do
    if (" " .. wanted .. " "):find(" " .. runtime.name .. " ", 1, true) then
      runtime.version = versions[runtime.package]
      if runtime.version then
        list[#list + 1] = runtime
      else
        io.stderr:write(("%s: not installed, left out\n"):format(runtime.name))
      end
    end
  end
  return list
end

--- The names of all runtimes, separated by spaces.
-- @treturn string
function runtimes.names()
  local names = {}
  for i, runtime in ipairs(all) do names[i] = runtime.name end
  return table.concat(names, " ")
end

--- Whether a runtime is measured in a case.
-- @tab runtime
-- @tab case `mode`, `batch`
-- @treturn boolean
function runtimes.suits(runtime, case)
  return (case.mode == "forward" or runtime.train == true) and (case.batch > 1 or not runtime.divides)
end

--- One measurement.
-- @string python
-- @tab runtime
-- @tab case `model`, `mode`, `batch`, `threads`, `batches`, `seconds`, `onnx` (path of the model's file)
-- @treturn number|nil milliseconds per image; nil where it failed
-- @treturn number peak memory in MiB
function runtimes.measure(python, runtime, case)
  local words = { python, SCRIPT, runtime.name, case.model, case.mode, case.batch, case.threads, case.batches,
    case.seconds }
  if runtime.onnx then words[#words + 1] = case.onnx end
  local answer = decode(bench.run(words, case.threads))
  if not answer then return nil end
  return answer.ms_per_image, answer.peak_rss_mb
end

return runtimes
