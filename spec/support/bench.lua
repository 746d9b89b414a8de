--- What benchmarks share: measurements in processes of their own, so that peak memory means something.
require "secateur.cpu".prepare()
local child = require "support.child"
local core = require "secateur.core"

local bench = {}

--- A setting from the environment.
-- @string name
-- @param default number or string; the setting has its type
function bench.setting(name, default)
  local text = os.getenv(name)
  if text == nil then return default end
  if type(default) ~= "number" then return text end
  return math.tointeger(text) or tonumber(text) or error(("%s: expected a number, got '%s'"):format(name, text), 0)
end

--- The words of a text as a list: a setting that names several. Numbers become numbers.
-- @string text
-- @treturn {string|number,...}
function bench.words(text)
  local list = {}
  for word in text:gmatch "%S+" do list[#list + 1] = math.tointeger(tonumber(word)) or tonumber(word) or word end
  return list
end

local function quote(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

--- Runs a command, given as a list of words, and returns what it printed.
-- @tparam {string,...} words
-- @int threads for OpenMP
-- @treturn string
function bench.run(words, threads)
  local quoted = {}
  for i, word in ipairs(words) do quoted[i] = quote(word) end
  local pipe = assert(io.popen(("OMP_NUM_THREADS=%d exec %s"):format(threads, table.concat(quoted, " "))))
  local text = pipe:read "a"
  pipe:close()
  return text
end

--- Runs this script once more, as a child; its answer is a line "ms peak" as bench.answer prints it.
-- @tparam {string,...} words its arguments behind "child"
-- @int threads
-- @treturn number|nil milliseconds; nil where the child failed
-- @treturn number peak memory in MiB
-- @treturn string all that it printed
function bench.child(words, threads)
  local text = bench.run({ child.interpreter(), arg[0], "child", table.unpack(words) }, threads)
  local ms, peak = text:match "ms ([%d.]+) peak ([%d.]+)"
  return tonumber(ms), tonumber(peak), text
end

--- The median of a list of numbers.
-- @tparam {number,...} list
-- @treturn number
function bench.median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local middle = (#sorted + 1) // 2
  return (sorted[middle] + sorted[#sorted - middle + 1]) / 2
end

--- Runs a function before it is timed: once, and once more where that takes less than so long. The first run touches
-- memory, the second finds threads awake.
-- @func run
-- @number seconds
function bench.warm(run, seconds)
  local start = core.clock()
  run()
  if core.clock() - start < seconds then run() end
end

--- Times a function and prints the answer of a child.
-- @func run
-- @int repeats of which the median counts
-- @int per what a run is divided by, e.g. images
-- @number[opt=0] seconds that the runs take together at least; there are more of them where they are short
function bench.answer(run, repeats, per, seconds)
  local times, total = {}, 0
  while #times < repeats or total < (seconds or 0) do
    local start = core.clock()
    run()
    times[#times + 1] = core.clock() - start
    total = total + times[#times]
  end
  print(("ms %.3f peak %.1f"):format(bench.median(times) / per * 1000, bench.peak()))
end

--- The largest resident memory of this process so far, in MiB.
function bench.peak()
  local status = io.open "/proc/self/status"
  if not status then return 0 end
  local text = status:read "a"
  status:close()
  return tonumber(text:match "VmHWM:%s+(%d+)") / 1024
end

local small = {
  vgg_small = function(sc)
    return sc.models.vgg { config = { 16, 16, "M", 32, 32, "M", 64, 64, "M", 128, 128, "M" }, hidden = { 128 },
      pool = 2, batch_norm = true, classes = 1000, size = 64, channels = 3 }
  end,
  resnet_small = function(sc)
    return sc.models.resnet { block = "basic", stem = 32, planes = { 32, 64, 128 }, blocks = { 2, 2, 2 },
      classes = 1000, size = 64, channels = 3 }
  end,
  vit_small = function(sc)
    return sc.models.vit { size = 64, patch = 8, layers = 4, heads = 4, dim = 96, mlp = 192, classes = 1000,
      channels = 3 }
  end,
}

--- A model as peer_models.py has it; the head of a transformer gets weights, since it starts at zero.
-- @string name vgg19, resnet50, vit_b_16, … or vgg_small, resnet_small, vit_small (64 x 64 images)
-- @int size of the images
-- @treturn Model
function bench.model(name, size)
  local sc = require "secateur"
  local make = small[name]
  local model = make and make(sc) or not make and sc.models[name] { size = size }
  for _, p in ipairs(model.graph:parameters()) do
    if p.name == "heads.head.weight" then
      model.graph:set_parameter(p.name, core.randn(p.shape[1], p.shape[2], { seed = 1, std = 0.02 }))
    end
  end
  return model
end

return bench
