-- Health of a DatabaseSchema for Argo CD: resource.customizations.health.schemaward.dev_DatabaseSchema in ConfigMap argocd-cm.
-- Argo CD takes a kind that it does not know for healthy, so that without this a sync ends before any migration has run.
-- Its Lua has no string library; `obj` is the live object.

local function progressing(message)
  return { status = "Progressing", message = message }
end

local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

-- Conditions of an older generation say nothing about this one. The CRD starts status with observedGeneration -1.
if status.observedGeneration ~= obj.metadata.generation then
  return progressing("Waiting for the operator to see this version of the resource")
end

local stalled = conditions.Stalled
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.message }
end

local ready = conditions.Ready
if ready == nil then
  return progressing("Waiting for the operator to report")
end
if ready.reason == "Suspended" then
  return { status = "Suspended", message = ready.message }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return progressing(ready.message)
