--- Reads models back from files.
-- @module secateur.models.load
local errors = require "secateur.util.errors"
local model_file = require "secateur.models.model_file"
local model = require "secateur.models.model"
local options = require "secateur.util.options"
local pruning_plan = require "secateur.models.pruning_plan"

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
      if plan then
        local fitting, problem = pruning_plan.fit(loaded:layers(), plan)
        if not fitting then errors.raise("plan: %s", problem) end
        local holds, layer, unit = pruning_plan.holds(fitting, graph)
        if not holds then
          errors.raise("plan: '%s': expected units whose weights are zero, as prune leaves them; unit %d is none",
            layer, unit)
        end
        loaded.pruning_plan = fitting
      end
      return loaded
    end)
    if not ok then errors.raise("'%s': %s", path, result) end
    return result
  end)
end
