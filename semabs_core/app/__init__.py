"""The web page of ``semabs app``; needs the extra ``semabs[app]`` (Gradio)."""
