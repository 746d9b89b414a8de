--- Reads models back from files.
-- @module secateur.models.load
local errors = require "secateur.util.errors"
local model_file = require "secateur.models.model_file"
local model = require "secateur.models.model"
local options = require "secateur.util.options"

--- Reads a model that `model:save` wrote: graph and parameters, no code needed.
-- @string path
-- @treturn Model
-- @usage
-- model:save("model.safetensors")
-- local same = sc.load("model.safetensors")
return function(path)
  options.value("load", "path", path, { type = "string", required = true })
  return errors.within("load", function()
    local graph, info, tensors, plan = model_file.read(path)
    local ok, result = errors.try(function()
      local loaded = model.new(graph, info):load_state(tensors)
      model_file.check_info(info, loaded.class_count)
      if plan then loaded.pruning_plan = model_file.fit_plan(loaded, plan) end
      return loaded
    end)
    if not ok then errors.raise("'%s': %s", path, result) end
    return result
  end)
end
