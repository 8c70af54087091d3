// Built by `make assets`: change the sources, not this file.
function o(){location.reload()}export{o as default};
