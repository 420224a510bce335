window.complaints = [];
addEventListener("error", (event) => window.complaints.push(`error: ${event.message ?? event.target?.src}`), true);
addEventListener("unhandledrejection", (event) => window.complaints.push(`rejected: ${event.reason?.stack ?? event.reason}`));
addEventListener("securitypolicyviolation", (event) => window.complaints.push(`policy: ${event.violatedDirective} ${event.blockedURI}`));
