-- Full-size checkpoints of torchvision and timm, in both file formats, against their own logits; and back.
--
--     make bench BENCH=spec/bench/checkpoints.lua PYTHON=/path/to/python-with-torchvision-and-timm
--
-- Options through the environment: PYTHON (required), MODELS, FORMATS, FOLDER (a temporary one; needs 3 GB). For each
-- model: largest difference of logits over largest logit on 8 random images, seconds to load, and peak memory over the
-- size of the file, beside those of torch.load, or of load_file and copies, for the tensors alone. Each is the least of
-- three processes, in turns: the first one after the file was written may wait for the system's memory. Then the same
-- difference of what PyTorch makes of an exported state and of what ONNX Runtime makes of an exported graph.
require "secateur.cpu".prepare()
local sc = require "secateur"
local core = require "secateur.core"
local child = require "support.child"
local files = require "secateur.util.files"

local TIMES = 3
local MODELS = "vgg11 vgg19 vgg19_bn resnet18 resnet50 resnet101 vit_b_16 vit_b_32 vit_tiny_patch16_224"

local function peak() return tonumber(io.open("/proc/self/status"):read "a":match "VmHWM:%s+(%d+)") * 1024 end

local function size(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:seek "end"
end

-- In a process of its own: what loading takes.
local function measure(path, reference)
  local before, start = peak(), core.clock()
  local model = sc.load_checkpoint(path)
  local seconds, bytes = core.clock() - start, peak() - before
  local given = sc.safetensors.load(reference)
  local difference = (model:forward(given.x) - given.logits):abs():reshape(-1):max()
  print(("%.3e %.2f %.3f %s"):format(difference / given.logits:abs():reshape(-1):max(), seconds, bytes / size(path),
    model.info.architecture))
end

-- In a process of its own, too: what goes back.
local function export(folder, name)
  local model = sc.load_checkpoint(files.join(folder, name .. ".safetensors"))
  model:export_state(files.join(folder, name .. ".state"), { names = name:find "patch" and "timm" or "torchvision" })
  model:export_onnx(files.join(folder, name .. ".onnx"))
end

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function run(...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = quote(word) end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local text = pipe:read "a"
  if not pipe:close() then error("failed: " .. table.concat(words, " "), 0) end
  return text
end

-- Of seconds and of memory, as numbers.
local function keep_least(least, seconds, memory)
  least[1], least[2] = math.min(least[1], tonumber(seconds)), math.min(least[2], tonumber(memory))
end

local function compare()
  local python = assert(os.getenv "PYTHON", "set PYTHON to an interpreter with torchvision, timm and onnxruntime")
  local peer = arg[0]:gsub("checkpoints%.lua$", "peer_checkpoints.py")
  local folder = os.getenv "FOLDER" or os.tmpname() .. ".checkpoints"
  assert(files.mkdir_p(folder))
  local row = "%-22s %-12s %9s %7s %6s %7s %6s  %s"
  print(row:format("model", "format", "error", "load s", "peak", "torch s", "peak", "recognised as"))
  for name in (os.getenv "MODELS" or MODELS):gmatch "%S+" do
    run(python, peer, "write", folder, name)
    local reference = files.join(folder, name .. ".reference")
    for ending in (os.getenv "FORMATS" or "safetensors pth"):gmatch "%S+" do
      local difference, architecture
      local ours, theirs = { math.huge, math.huge }, { math.huge, math.huge }
      for _ = 1, TIMES do
        local text = run(child.interpreter(), arg[0], "measure", files.join(folder, name .. "." .. ending), reference)
        local seconds, memory
        difference, seconds, memory, architecture = text:match "(%S+) (%S+) (%S+) (%S+)"
        keep_least(ours, seconds, memory)
        keep_least(theirs, run(python, peer, "load", folder, name .. "." .. ending):match "(%S+) (%S+)")
      end
      print(row:format(name, ending, difference, ours[1], ours[2], theirs[1], theirs[2], architecture))
    end
    run(child.interpreter(), arg[0], "export", folder, name)
    for what, difference in run(python, peer, "check", folder, name):gmatch "(%S+) (%S+)" do
      print(("%-22s %-12s %9s"):format(name, what .. " back", difference))
    end
    for _, ending in ipairs { "safetensors", "pth", "reference", "state", "onnx" } do
      os.remove(files.join(folder, name .. "." .. ending))
    end
  end
  files.remove(folder)
end

if arg[1] == "measure" then
  measure(arg[2], arg[3])
elseif arg[1] == "export" then
  export(arg[2], arg[3])
else
  compare()
end
