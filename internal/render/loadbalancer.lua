-- Ends the connections of an API server that is dead, where another one is well. Dead is one
-- that has been down for two seconds by the quick checks and does not answer a patient one of
-- the backend of last resort either: one that is down by a quick check may just be late, and gets
-- no new connections, that is all. on-marked-down would cut those that are open, and those that
-- are still being made and would go to another server by themselves. Where all API servers are
-- overloaded, cutting would add to their load. One that refuses connections (L4CON) is not cut:
-- it has ended, and its kernel has closed all, or it is ending, and finishes what it has.
local well, last_resort, dead_after = "kube-apiserver", "kube-apiserver-last-resort", 2 -- seconds

-- dead returns the names of the servers that are.
local function dead()
	local lives, found = false, {}
	for name, server in pairs(core.backends[well].servers) do
		local quick = server:get_stats()
		local patient = core.backends[last_resort].servers[name]:get_stats()
		local silent = patient.check_status:find("TOUT") -- the last check that ended
		lives = lives or quick.status:find("^UP") and patient.status == "UP"
		if quick.status:find("^DOWN") and quick.lastchg >= dead_after and silent then table.insert(found, name) end
	end
	return lives and found or {}
end

core.register_task(function()
	while true do
		core.msleep(100)
		for _, name in ipairs(dead()) do
			for _, backend in ipairs({ well, last_resort }) do
				core.backends[backend].servers[name]:shut_sess()
			end
		end
	end
end)
