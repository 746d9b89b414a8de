--- Exports models of many kinds and lets ONNX's own checker and ONNX Runtime judge them, and torchvision load what
-- export_state wrote: `PYTHON=` an interpreter with onnx, onnxruntime, safetensors, torch and torchvision; `MODELS=`
-- names of torchvision's, to try these. Prints the largest error over the largest logit of each; above 1e-4 is a
-- failure.
local core = require "secateur.core"
local every_operation = require "support.every_operation"
local families = require "support.families"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local random_net = require "support.random_net"
local safetensors = require "secateur.formats.safetensors"
local sc = require "secateur"

local python = os.getenv "PYTHON"
if not python then
  print "skipped: PYTHON= is not set"
  return
end

local folder = os.tmpname()
os.remove(folder)
assert(files.mkdir_p(folder))

local jobs = {}

-- Random numbers for all that starts as zero or one, so that each parameter matters.
local function shake(model, seed)
  for i, p in ipairs(model.graph:parameters()) do
    local value = model.graph:parameter(p.name)
    local shape = value:shape()
    if value:dtype() == "float32" and (#shape == 1 or p.name:find "^heads") then
      shape[#shape + 1] = { seed = seed * 1000 + i, std = 0.1 }
      value = value + core.randn(table.unpack(shape))
      model.graph:set_parameter(p.name, p.name:find "running_var" and value:abs() or value)
    end
  end
  return model
end

-- Exports a model in both forms, with inputs and outputs for three batches.
local function job(name, model, opts, class)
  local tensors = {}
  for _, batch in ipairs { 1, 3, 8 } do
    local sizes = { batch, table.unpack(model.input_shape) }
    sizes[#sizes + 1] = { seed = batch }
    local x = core.randn(table.unpack(sizes))
    tensors["x" .. batch], tensors["y" .. batch] = x, model:forward(x)
  end
  local stem = files.join(folder, name)
  safetensors.save(stem .. ".data", tensors)
  model:export_onnx(stem .. ".onnx", opts)
  if class then model:export_state(stem .. ".state") end
  jobs[#jobs + 1] = { name = name, stem = stem, class = class }
  model:release()
end

local seed = 0
for name in (os.getenv "MODELS" or "vgg11 resnet18 resnet50 vit_b_16"):gmatch "%S+" do
  seed = seed + 1
  local model = shake(sc.models[name] { classes = 10, seed = seed }, seed)
  job(name, model, nil, name)
  job(name .. "_half", families.halved(model), { fold = true }, name)
end
local small = sc.models.vgg { config = { 8, 8, "M", 16, 16, "M" }, hidden = { 24 }, pool = 3, classes = 5, size = 32,
  batch_norm = true }
job("vgg_bn", shake(small, 9))
job("vgg_bn_fold", small, { fold = true })
job("vgg_stretched", shake(sc.models.vgg { config = { 8, "M" }, hidden = {}, pool = 7, classes = 5, size = 10 }, 3))
job("vit_small", shake(sc.models.vit { size = 32, patch = 8, layers = 2, heads = 2, dim = 16, mlp = 32, classes = 5 },
  4))
local every = shake(sc.model { input = { 3, 17, 14 }, build = every_operation, init = {
  { "norm%.weight$", "normal", 1 }, { "weight$", "torch_default" }, { "value$", "normal", 0.5 } } }, 5)
job("every", every)
job("every_half", families.halved(every), { fold = true })
for k = 1, 30 do
  local opts = { bias = k % 2 == 0, transformer = k % 5 == 0,
    activations = { "relu", "gelu", "silu", "tanh", "sigmoid" } }
  local model = random_net.model(random_net.make(k, opts))
  job("random" .. k, model)
  job("random_half" .. k, families.halved(model))
end

assert(files.write_all(files.join(folder, "jobs.json"), json.encode(jobs)))
local good = os.execute(("%s spec/bench/peer_export.py %s"):format(python, folder))
files.remove(folder)
if not good then error("an export failed", 0) end
