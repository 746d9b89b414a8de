--- Runs steps of a pipeline with allocations that fail, in this process, which must have spec/support/failing_malloc.c
-- loaded before it. After every failure: an error that says memory, or the right result; no file half written or left
-- over, no descriptor, no native memory, no handler of SIGINT.
local core = require "secateur.core"
local files = require "secateur.util.files"
local held = require "support.held"
local lfs = require "lfs"
local malloc = require "spec.failing_malloc"
local steps = require "support.pressure_steps"
local temporary = require "support.temporary"

local pressure = {}

local function caught_signals()
  for line in io.lines "/proc/self/status" do
    local mask = line:match "^SigCgt:%s*(%x+)"
    if mask then return mask end
  end
end

-- Names of all that lies in the folder, sorted.
local function listing(folder)
  local names = {}
  for name in lfs.dir(folder) do
    if name ~= "." and name ~= ".." then names[#names + 1] = name end
  end
  table.sort(names)
  return table.concat(names, " ")
end

-- Whether there is a file, or a folder with one in it. A hidden stage does not count: to remove it takes memory,
-- and the next one of its name does.
local function is_there(path)
  return files.mode(path) ~= nil and (not files.is_dir(path) or #assert(files.walk(path)) > 0)
end

local function collect()
  collectgarbage()
  collectgarbage()
end

-- What is in use, in words that can be compared.
local function state()
  collect()
  return { descriptors = held.descriptors(), signals = caught_signals(), native = (core.memory()) }
end

local EVERY = 40 -- steps of so few allocations have each of them fail
local about_memory = { "memory", "allocate" }

local function says_memory(problem)
  local text = tostring(problem):lower()
  for _, word in ipairs(about_memory) do
    if text:find(word, 1, true) then return true end
  end
  return false
end

-- One run with the allocations first .. last failing. Gives how many there were, whether it went well, and a complaint
-- or nil.
local function inject(step, folder, expected, first, last)
  local before = state()
  local arguments = table.pack(step.prepare())
  local before_files = listing(folder)
  malloc.arm(first, last)
  local good, result = pcall(step.run, table.unpack(arguments, 1, arguments.n))
  local count, refused = malloc.disarm()
  local complaint
  if good then
    local digest = step.digest(result)
    if digest ~= expected then complaint = ("another result: %s, expected %s"):format(digest, expected) end
  elseif not says_memory(result) then
    complaint = ("an error that does not say memory: %s"):format(tostring(result))
  elseif refused == 0 then
    complaint = ("an error without a cause: %s"):format(tostring(result))
  end
  for _, name in ipairs((good or step.keeps == true) and {} or step.makes) do
    local made = files.join(folder, name)
    if is_there(made) and not (step.keeps and files.is_file(files.join(made, step.keeps))) then
      complaint = complaint or ("an error, and yet '%s'"):format(name)
    end
  end
  arguments, result = nil, nil -- luacheck: ignore
  for _, name in ipairs(step.makes) do files.remove(files.join(folder, name)) end
  local after = state()
  for what, value in pairs(before) do
    if after[what] ~= value then
      complaint = complaint or ("%s: %s, before %s"):format(what, tostring(after[what]), tostring(value))
    end
  end
  local after_files = listing(folder)
  if after_files ~= before_files then
    complaint = complaint or ("files: %s, before %s"):format(after_files, before_files)
    for name in after_files:gmatch "%S+" do
      if not before_files:find(name, 1, true) then files.remove(files.join(folder, name)) end
    end
  end
  return count, good, complaint
end

local lengths = { one = 0, two = 1, four = 3, all = math.maxinteger >> 1 }

--- Runs one step with failures at many places.
-- @string name of the step
-- @string mode "one", "two", "four" or "all": how many allocations fail from each place on
-- @int most at most so many places, evenly spread over all allocations of the step
-- @func tell called with every complaint
-- @treturn table `{ name=, mode=, allocations=, injections=, errors=, right= }`
function pressure.run(name, mode, most, tell)
  local folder, step = temporary.folder(), nil
  for _, candidate in ipairs(steps) do
    if candidate.name == name then step = candidate end
  end
  steps.begin(folder)
  local found = { name = name, mode = mode, allocations = 0, injections = 0, errors = 0, right = 0 }
  if not step then return found end
  local expected = step.digest(step.run(step.prepare()))
  for _, made in ipairs(step.makes) do files.remove(files.join(folder, made)) end
  local count, good, complaint = inject(step, folder, expected, 0, 0)
  if not good or complaint then tell(("%s: without failures: %s"):format(name, complaint or "an error")) end
  found.allocations = count
  local stride = count <= EVERY and 1 or math.max(1, count // most)
  for first = 1, count, stride do
    local _, well, problem = inject(step, folder, expected, first, first + lengths[mode])
    found.injections = found.injections + 1
    found[well and "right" or "errors"] = found[well and "right" or "errors"] + 1
    if problem then tell(("%s: %s from %d of %d: %s"):format(name, mode, first, count, problem)) end
  end
  files.remove(folder)
  return found
end

return pressure
