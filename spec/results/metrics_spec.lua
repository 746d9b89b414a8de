local metrics = require "secateur.results.metrics"
local rows = require "support.rows"

describe("metrics", function()
  local function some()
    local made = rows.results { { { [0] = 0, [0.5] = 0.25 } }, { { [0.5] = 0.125 }, { model = "vit" } } }
    for _, row in ipairs(made) do row.ece, row.auroc = 0.05 + row.drop, 1 - row.drop end
    return made
  end

  it("are worse by a drop, or a rise where less is better", function()
    local made = some()
    local ece, auroc = metrics.of(made, "ece"), metrics.of(made, "auroc")
    assert.near(0.25, ece:change(made[2]), 1e-12)
    assert.same({ true, "rise", "ECE" }, { ece.lower, ece.lost, ece.title })
    assert.near(0.25, auroc:change(made[2]), 1e-12)
    assert.equal(0, auroc:change(made[1]))
    assert.same({ 0.25 }, auroc:changes { made[2], made[3] }) -- of vit no row of rate 0
  end)

  it("take what the row says of the unpruned model, or what is so by definition", function()
    local made = some()
    made[3].baseline_ece, made[2].decision_agreement, made[2].kl, made[2].auroc_drop = 0.1, 0.75, 0.5, 0.3
    assert.near(0.075, metrics.of(made, "ece"):change(made[3]), 1e-12)
    assert.equal(0.25, metrics.of(made, "decision_agreement"):change(made[2]))
    assert.equal(0.5, metrics.of(made, "kl"):change(made[2]))
    assert.equal(0.3, metrics.of(made, "auroc"):change(made[2]))
    assert.is_nil(metrics.of(made, "agreement_cosine"):change(made[2]))
    made[2].accuracy, made[2].drop, made[2].baseline_accuracy = 0 / 0, nil, nil
    assert.is_nil(metrics.of(made, "accuracy"):change(made[2]))
  end)
end)
