-- Trains the small models that the comparisons of repair are made on, and says what they reach; those that are there
-- already are left alone.
--
--     make bench BENCH=spec/bench/trained_models.lua DATA=/path/to/data MODELS=/path/to/models
--
-- Options through the environment: DATA, the folder of cpn/, mri/ and pneumoniamnist.npz; MODELS, the folder that the
-- models go to, as <set>-<family>-<seed>.safetensors; MODELS_MATCH ("."), a Lua pattern for the names of those wanted.
local bench = require "support.bench"
local core = require "secateur.core"
local files = require "secateur.util.files"
local sc = require "secateur"
local trained_models = require "support.trained_models"

local DATA = os.getenv "DATA" or error("DATA: expected the folder of the images", 0)
local MODELS = os.getenv "MODELS" or error("MODELS: expected the folder that the models go to", 0)
local MATCH = bench.setting("MODELS_MATCH", ".")

io.stdout:setvbuf "line"
print(("%-20s %10s %8s %8s %8s"):format("model", "parameters", "seconds", "val", "test"))
local opened = {}
for _, entry in ipairs(trained_models.list()) do
  local path = trained_models.path(entry, MODELS)
  if entry.name:find(MATCH) and not files.is_file(path) then
    local data = opened[entry.set] or trained_models.open(entry.set, DATA)
    opened[entry.set] = data
    local start = core.clock()
    local model = trained_models.train(entry, data)
    local seconds = core.clock() - start
    -- Whole or not at all, for whoever reads models while they are made.
    model:save(path .. ".part")
    assert(os.rename(path .. ".part", path))
    local parameters = 0
    for _, parameter in ipairs(model.graph:parameters()) do
      parameters = parameters + model.graph:parameter(parameter.name):numel()
    end
    print(("%-20s %10d %8.1f %8.3f %8.3f"):format(entry.name, parameters, seconds,
      sc.evaluate(model, data.val).accuracy, sc.evaluate(model, data.test).accuracy))
  end
end
